"""Messages that are set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _place import bodies
from azure.servicebus import ServiceBusMessageState, ServiceBusReceiveMode
from azure.servicebus.exceptions import MessageNotFoundError

if TYPE_CHECKING:
    from _place import Place


async def defer(place: Place, text: str = "a") -> int:
    """Send a message, defer it, and give its sequence number."""
    await place.send(text)
    message = await place.receive_one()
    await place.receiver.defer_message(message)
    number: int = message.sequence_number
    return number


async def test_b72_a_deferred_message_is_not_received(place: Place) -> None:
    await defer(place)
    other = await place.new_receiver()

    assert await place.received_now() == []
    assert await place.received_now(other) == []


async def test_b73_who_knows_its_number_receives_it(place: Place) -> None:
    number = await defer(place)
    other = await place.new_receiver()

    (message,) = await other.receive_deferred_messages(number)

    assert (str(message), message.sequence_number) == ("a", number)
    assert message.lock_token is not None
    await other.complete_message(message)
    assert await place.peek() == []


async def test_b74_peeking_shows_it(place: Place) -> None:
    await defer(place)

    (message,) = await place.receiver.peek_messages(10, sequence_number=1)

    assert (str(message), message.state) == ("a", ServiceBusMessageState.DEFERRED)


@pytest.mark.parametrize("what", ["unknown", "active", "locked"])
async def test_b75_what_is_not_deferred_or_is_locked_is_not_found(place: Place, what: str) -> None:
    number = await defer(place)
    if what == "unknown":
        number += 1000
    elif what == "active":
        await place.send("b")
        number += 1
    else:
        await place.receiver.receive_deferred_messages(number)

    with pytest.raises(MessageNotFoundError):
        await place.receiver.receive_deferred_messages(number)


async def test_b76_in_receive_and_delete_it_is_gone_once_received(place: Place) -> None:
    number = await defer(place)
    deleting = await place.new_receiver(receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)

    messages = await deleting.receive_deferred_messages(number)

    assert bodies(messages) == ["a"]
    assert await place.peek() == []


async def test_b77_it_may_be_abandoned_and_dead_lettered(place: Place) -> None:
    number = await defer(place)
    letters = await place.dead_letters()

    (message,) = await place.receiver.receive_deferred_messages(number)
    await place.receiver.abandon_message(message)
    assert await place.received_now() == []
    (message,) = await place.receiver.receive_deferred_messages(number)
    await place.receiver.dead_letter_message(message, reason="why", error_description="in detail")

    letter = await place.receive_one(letters)
    assert (str(letter), letter.dead_letter_reason, letter.dead_letter_error_description) == ("a", "why", "in detail")
    assert await place.peek() == []
