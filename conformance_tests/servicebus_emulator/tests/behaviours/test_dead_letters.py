"""The dead-letter queue: what goes there, and what holds there."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from _place import bodies
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

LOCK_SECONDS = 120


async def dead_letter(place: Place, text: str = "a", **properties: object) -> None:
    """Send a message and dead-letter it."""
    await place.send(text, **properties)
    await place.receiver.dead_letter_message(await place.receive_one(), reason="why", error_description="in detail")


async def test_b46_a_dead_letter_has_the_reason_that_was_given(place: Place) -> None:
    await dead_letter(place)

    letter = await place.receive_one(await place.dead_letters())

    assert str(letter) == "a"
    assert (letter.dead_letter_reason, letter.dead_letter_error_description) == ("why", "in detail")
    assert await place.peek() == []


async def test_b47_a_message_is_dead_lettered_after_its_last_delivery(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    place = await open_place(deliveries_max=3)
    await place.open_links()
    await place.send("a")

    for _ in range(3):
        assert await place.peek() == ["a"]
        await place.receiver.abandon_message(await place.receive_one())

    assert await place.peek() == []
    letter = await place.receive_one(await place.dead_letters())
    assert letter.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_b48_locks_that_end_are_deliveries(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(deliveries_max=2, lock_seconds=LOCK_SECONDS)
    await place.open_links()
    await place.send("a")

    for _ in range(2):
        await place.receive_one()
        await place.let_time_pass(LOCK_SECONDS + 1)

    letter = await place.receive_one(await place.dead_letters())
    assert letter.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_b49_dead_letters_are_received_like_others(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(lock_seconds=LOCK_SECONDS)
    await place.open_links()
    await dead_letter(place)
    letters = await place.dead_letters()

    await letters.abandon_message(await place.receive_one(letters))
    await place.receive_one(letters)
    await place.let_time_pass(LOCK_SECONDS + 1)
    await letters.complete_message(await place.receive_one(letters))

    assert await place.peek(letters) == []


async def test_b50_dead_letters_stay_however_often_they_are_received(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    place = await open_place(deliveries_max=2)
    await place.open_links()
    await dead_letter(place)
    letters = await place.dead_letters()

    for _ in range(4):
        await letters.abandon_message(await place.receive_one(letters))

    assert await place.peek(letters) == ["a"]


async def test_b51_dead_letters_do_not_expire(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(dead_letter_on_expiration=True)
    await place.open_links()
    await dead_letter(place, time_to_live=timedelta(seconds=10))

    await place.let_time_pass(1000)

    assert bodies([await place.receive_one(await place.dead_letters())]) == ["a"]


async def test_b52_a_dead_letter_cannot_be_dead_lettered(place: Place) -> None:
    """Whether the call fails is not documented; that the letter is where it was is."""
    await dead_letter(place)
    letters = await place.dead_letters()
    letter = await place.receive_one(letters)

    with contextlib.suppress(ServiceBusError):
        await letters.dead_letter_message(letter, reason="another")

    assert await place.peek(letters) == ["a"]
    assert await place.peek() == []


@pytest.mark.parametrize("name", ["q/$deadletterqueue", "q/$DeadLetterQueue"])
async def test_b53_nothing_is_sent_to_a_dead_letter_queue(
    open_place: Callable[..., Awaitable[Place]], name: str
) -> None:
    place = await open_place()

    with pytest.raises(ServiceBusError):
        await place.sdk.sender(name)


async def test_b54_a_dead_letter_keeps_what_was_sent(place: Place) -> None:
    await place.send("a", message_id="id", subject="subject", application_properties={"own": 7})
    message = await place.receive_one()

    await place.receiver.dead_letter_message(message, reason="why")

    letter = await place.receive_one(await place.dead_letters())
    assert (letter.message_id, letter.subject, letter.application_properties[b"own"]) == ("id", "subject", 7)
    assert letter.sequence_number == message.sequence_number


async def test_b99_dead_letters_of_sessions_are_received_without_one(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    place = await open_place(requires_session=True)
    await place.open_links(session_id="s")
    await place.sender.send_messages(ServiceBusMessage("a", session_id="s"))
    await place.receiver.dead_letter_message(await place.receive_one(), reason="why")

    letter = await place.receive_one(await place.dead_letters())

    assert (str(letter), letter.session_id) == ("a", "s")
