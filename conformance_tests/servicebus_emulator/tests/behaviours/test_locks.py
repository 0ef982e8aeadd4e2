"""Locks of messages: how long they last, and what comes after."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from azure.servicebus.exceptions import MessageLockLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

LOCK_SECONDS = 120
"""Long for what happens between two steps of a test in real time, and passed at once on the emulator's clock."""


@pytest_asyncio.fixture(loop_scope="session")
async def place(open_place: Callable[..., Awaitable[Place]]) -> Place:
    opened = await open_place(lock_seconds=LOCK_SECONDS)
    await opened.open_links()
    return opened


async def test_b25_a_locked_message_is_not_given_to_others(place: Place) -> None:
    other = await place.new_receiver()
    await place.send("a", "b")

    first = await place.receive_one()
    second = await place.receive_one(other)

    assert [str(first), str(second)] == ["a", "b"]
    assert await place.received_now(other) == []


async def test_b26_a_message_says_until_when_it_is_locked(place: Place) -> None:
    await place.send("a")
    await place.let_time_pass(30)

    message = await place.receive_one()

    assert message.locked_until_utc - message.enqueued_time_utc == timedelta(seconds=30 + LOCK_SECONDS)


async def test_b29_a_message_whose_lock_has_ended_is_received_again(place: Place) -> None:
    """Whoever took it may be dead."""
    other = await place.new_receiver()
    await place.send("a")
    lost = await place.receive_one()

    await place.let_time_pass(LOCK_SECONDS + 1)

    again = await place.receive_one(other)
    assert again.sequence_number == lost.sequence_number


@pytest.mark.parametrize("how", ["complete_message", "abandon_message", "defer_message", "dead_letter_message"])
async def test_b31_settling_after_the_lock_is_refused(place: Place, how: str) -> None:
    """The SDK's own clock says that the lock lasts: it is the service that refuses."""
    await place.send("a")
    message = await place.receive_one()
    await place.let_time_pass(LOCK_SECONDS + 1)

    with pytest.raises(MessageLockLostError):
        await getattr(place.receiver, how)(message)

    again = await place.receive_one()
    assert str(again) == "a"
    assert again.delivery_count == 1


async def test_b32_a_renewed_lock_lasts_for_the_lock_duration_from_now(place: Place) -> None:
    await place.send("a")
    message = await place.receive_one()
    first_end = message.locked_until_utc
    await place.let_time_pass(100)

    end = await place.receiver.renew_message_lock(message)

    assert end - first_end == timedelta(seconds=100)
    await place.let_time_pass(100)
    await place.receiver.complete_message(message)
    assert await place.peek() == []


async def test_b33_a_lock_that_has_ended_cannot_be_renewed(place: Place) -> None:
    await place.send("a")
    message = await place.receive_one()
    await place.let_time_pass(LOCK_SECONDS + 1)

    with pytest.raises(MessageLockLostError):
        await place.receiver.renew_message_lock(message)


async def test_b34_a_lock_may_be_renewed_again_and_again(place: Place) -> None:
    other = await place.new_receiver()
    await place.send("a")
    message = await place.receive_one()

    for _ in range(5):
        await place.let_time_pass(100)
        await place.receiver.renew_message_lock(message)

    assert await place.received_now(other) == []
    await place.receiver.complete_message(message)
    assert await place.peek() == []


async def test_b41_a_lock_outlives_its_link(place: Place) -> None:
    """The SDK settles over a new link what it received over a broken one."""
    patient = await place.new_client(retry_total=3).receiver("q")
    await place.send("a", "b")
    kept, _ = await place.receive(2, patient)
    place.emulator.drop_connections()

    await patient.complete_message(kept)

    assert await place.peek(patient) == ["b"]
    assert await place.received_now(patient) == []
