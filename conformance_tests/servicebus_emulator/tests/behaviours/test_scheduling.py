"""Messages for later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from _place import bodies
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState
from azure.servicebus.exceptions import ServiceBusError

if TYPE_CHECKING:
    from _place import Place


def later(place: Place, seconds: float) -> datetime:
    """Give a moment on the emulator's clock."""
    return datetime.fromtimestamp(place.clock.now(), UTC) + timedelta(seconds=seconds)


async def test_b65_a_scheduled_message_is_received_at_its_time(place: Place) -> None:
    await place.sender.schedule_messages([ServiceBusMessage("a"), ServiceBusMessage("b")], later(place, 100))
    assert await place.received_now() == []
    await place.let_time_pass(99)
    assert await place.received_now() == []

    await place.let_time_pass(2)

    assert bodies(await place.receive(2)) == ["a", "b"]


async def test_b66_a_message_may_carry_its_time(place: Place) -> None:
    await place.send("a", scheduled_enqueue_time_utc=later(place, 100))
    assert await place.received_now() == []

    await place.let_time_pass(101)

    assert bodies([await place.receive_one()]) == ["a"]


async def test_b67_cancelling_deletes_a_scheduled_message(place: Place) -> None:
    due = later(place, 100)
    numbers = await place.sender.schedule_messages([ServiceBusMessage(text) for text in "abc"], due)

    await place.sender.cancel_scheduled_messages([numbers[0], numbers[2]])

    assert await place.peek() == ["b"]
    await place.let_time_pass(101)
    assert bodies([await place.receive_one()]) == ["b"]
    assert await place.peek() == ["b"]


@pytest.mark.parametrize("what", ["unknown", "already cancelled", "already enqueued", "never scheduled"])
async def test_b68_only_a_scheduled_message_can_be_cancelled(place: Place, what: str) -> None:
    await place.send("ordinary")
    (number,) = await place.sender.schedule_messages(ServiceBusMessage("a"), later(place, 100))
    if what == "unknown":
        number += 1000
    elif what == "already cancelled":
        await place.sender.cancel_scheduled_messages(number)
    elif what == "already enqueued":
        await place.let_time_pass(101)
    else:
        number = (await place.receiver.peek_messages(1, sequence_number=1))[0].sequence_number
    before = await place.peek()

    with pytest.raises(ServiceBusError):
        await place.sender.cancel_scheduled_messages(number)

    assert await place.peek() == before


async def test_b69_at_its_time_a_message_is_enqueued_as_if_sent_then(place: Place) -> None:
    (number,) = await place.sender.schedule_messages(ServiceBusMessage("scheduled"), later(place, 100))
    await place.send("before")
    await place.let_time_pass(100)
    await place.send("after")

    before, scheduled, after = await place.receive(3)

    assert bodies([before, scheduled, after]) == ["before", "scheduled", "after"]
    assert number < before.sequence_number < scheduled.sequence_number < after.sequence_number
    assert scheduled.enqueued_time_utc - before.enqueued_time_utc == timedelta(seconds=100)


async def test_b70_peeking_shows_scheduled_messages(place: Place) -> None:
    due = later(place, 100)
    numbers = await place.sender.schedule_messages(ServiceBusMessage("a"), due)

    (peeked,) = await place.receiver.peek_messages(10)

    assert (str(peeked), peeked.state) == ("a", ServiceBusMessageState.SCHEDULED)
    assert [peeked.sequence_number] == numbers
    assert abs(peeked.scheduled_enqueue_time_utc - due) < timedelta(milliseconds=1)


async def test_b71_a_time_in_the_past_means_now(place: Place) -> None:
    await place.sender.schedule_messages(ServiceBusMessage("asked"), later(place, -100))
    await place.send("carried", scheduled_enqueue_time_utc=later(place, -100))

    messages = await place.receive(2)

    assert bodies(messages) == ["asked", "carried"]
    assert {message.state for message in messages} == {ServiceBusMessageState.ACTIVE}
