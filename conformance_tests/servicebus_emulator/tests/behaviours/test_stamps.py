"""What the service writes on a message, and the order in which it hands messages out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from _place import bodies
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState

if TYPE_CHECKING:
    from _place import Place


async def test_b20_sequence_numbers_grow_by_one(place: Place) -> None:
    await place.send("a", "b")
    await place.sender.send_messages([ServiceBusMessage("c"), ServiceBusMessage("d")])

    numbers = [message.sequence_number for message in await place.receive(4)]

    assert numbers == list(range(numbers[0], numbers[0] + 4))


async def test_b21_the_enqueued_time_is_the_clock_of_the_service(place: Place) -> None:
    await place.send("a")
    await place.let_time_pass(10)
    await place.send("b")

    first, second = await place.receive(2)

    assert second.enqueued_time_utc - first.enqueued_time_utc == timedelta(seconds=10)
    assert abs(second.enqueued_time_utc - datetime.fromtimestamp(place.clock.now(), UTC)) < timedelta(milliseconds=2)


async def test_b22_a_message_says_when_it_expires(place: Place) -> None:
    await place.send("a", time_to_live=timedelta(seconds=90))

    message = await place.receive_one()

    assert message.time_to_live == timedelta(seconds=90)
    assert message.expires_at_utc - message.enqueued_time_utc == timedelta(seconds=90)


async def test_b23_messages_are_received_in_the_order_of_arrival(place: Place) -> None:
    texts = [str(number) for number in range(10)]
    await place.send(*texts)

    assert bodies(await place.receive(10)) == texts


async def test_b24_an_ordinary_message_is_active(place: Place) -> None:
    await place.send("a")

    (peeked,) = await place.receiver.peek_messages(1)
    received = await place.receive_one()

    assert peeked.state == received.state == ServiceBusMessageState.ACTIVE
