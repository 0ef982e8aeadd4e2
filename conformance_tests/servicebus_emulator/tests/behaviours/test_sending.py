"""Sends: what is stored, what is refused, and how much fits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from _place import bodies
from azure.servicebus import ServiceBusMessage
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

MEBIBYTE = 2**20
MESSAGE_BYTES_MAX = 256 * 1024


async def test_b09_a_send_that_returned_is_stored(place: Place) -> None:
    await place.sender.send_messages(ServiceBusMessage("a"))

    assert await place.peek() == ["a"]


async def test_b10_messages_of_a_batch_are_messages(place: Place) -> None:
    batch = await place.sender.create_message_batch()
    for text in "abc":
        batch.add_message(ServiceBusMessage(text, message_id=f"id-{text}"))

    await place.sender.send_messages(batch)

    messages = await place.receive(3)
    assert bodies(messages) == ["a", "b", "c"]
    assert [message.message_id for message in messages] == ["id-a", "id-b", "id-c"]


async def test_b11_properties_arrive_as_they_were_sent(place: Place) -> None:
    properties: dict[str, Any] = {
        "message_id": "id", "correlation_id": "correlation", "subject": "subject", "content_type": "text/plain",
        "to": "to", "reply_to": "reply", "reply_to_session_id": "reply session", "session_id": "any",
        "partition_key": "any", "time_to_live": timedelta(minutes=5),
    }  # fmt: skip
    own: dict[Any, Any] = {
        "text": "täxt", "empty": "", "yes": True, "no": False, "small": 1, "negative": -1, "large": 2**31 - 1,
        "real": 1.5,
        "uuid": UUID(int=7), "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "none": None, "x" * 300: "y" * 300,
    }  # fmt: skip
    await place.sender.send_messages(
        ServiceBusMessage(b"\x00\xff body", application_properties=dict(own), **properties)
    )

    message = await place.receive_one()

    assert b"".join(message.body) == b"\x00\xff body"
    assert {name: getattr(message, name) for name in properties} == properties
    came = {name.decode(): decoded(value) for name, value in message.application_properties.items()}
    assert came == own | {"time": 1_767_323_045_000}  # The SDK gives a time as milliseconds.
    assert {name: type(value) for name, value in came.items()} == {
        name: type(value) for name, value in (own | {"time": 0}).items()
    }


def decoded(value: Any) -> Any:
    """Give text for the bytes that the SDK gives for it."""
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (AmqpMessageBodyType.DATA, [b"one", b"", b"three"]),
        (AmqpMessageBodyType.SEQUENCE, [[1, 2], ["three"]]),
        (AmqpMessageBodyType.VALUE, {"key": ["list", 1, None]}),
        (AmqpMessageBodyType.VALUE, None),
    ],
)
async def test_b12_a_body_keeps_its_kind(place: Place, kind: AmqpMessageBodyType, body: Any) -> None:
    field = {"DATA": "data_body", "SEQUENCE": "sequence_body", "VALUE": "value_body"}[kind.name]
    await place.sender.send_messages(AmqpAnnotatedMessage(**{field: body}))

    message = await place.receive_one()

    assert message.body_type == kind
    came = list(message.body) if kind is not AmqpMessageBodyType.VALUE else message.body
    assert repr(came).replace("b'", "'") == repr(body).replace("b'", "'")  # The SDK gives bytes for text.


async def test_b13_the_size_of_a_batch_follows_the_largest_message(place: Place) -> None:
    batch = await place.sender.create_message_batch()
    batch.add_message(ServiceBusMessage(b"x" * 200_000))

    assert batch.max_size_in_bytes == MESSAGE_BYTES_MAX
    with pytest.raises(MessageSizeExceededError):
        batch.add_message(ServiceBusMessage(b"x" * 100_000))


async def test_b14_a_message_that_is_too_large_is_refused(place: Place) -> None:
    with pytest.raises(MessageSizeExceededError):
        await place.sender.send_messages(ServiceBusMessage(b"x" * MESSAGE_BYTES_MAX))

    assert await place.peek() == []
    await place.sender.send_messages(ServiceBusMessage(b"x" * (MESSAGE_BYTES_MAX - 1000)))
    assert len(await place.peek()) == 1


async def test_b15_a_full_queue_refuses_until_there_is_room(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(size_bytes_max=MEBIBYTE)
    await place.open_links()
    large = ServiceBusMessage(b"x" * 200_000)
    for _ in range(5):
        await place.sender.send_messages(large)
    with pytest.raises(ServiceBusQuotaExceededError):
        await place.sender.send_messages(large)

    await place.receiver.complete_message(await place.receive_one())

    await place.sender.send_messages(large)


async def test_b16_dead_letters_take_space_too(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(size_bytes_max=MEBIBYTE)
    await place.open_links()
    large = ServiceBusMessage(b"x" * 250_000)
    for _ in range(4):
        await place.sender.send_messages(large)
        await place.receiver.dead_letter_message(await place.receive_one())

    with pytest.raises(ServiceBusQuotaExceededError):
        await place.sender.send_messages(large)


async def test_b17_a_busy_service_is_asked_again(place: Place) -> None:
    patient = await place.new_client(retry_total=1).sender("q")
    place.emulator.answer_busy(1)
    with pytest.raises(ServiceBusServerBusyError):
        await place.send("a")

    place.emulator.answer_busy(1)
    await patient.send_messages(ServiceBusMessage("b"))

    assert await place.peek() == ["b"]


async def test_b19_sends_that_are_under_way_at_once_are_answered_each(place: Place) -> None:
    senders = await asyncio.gather(*[place.sdk.sender("q") for _ in range(3)])
    too_large = asyncio.ensure_future(place.sender.send_messages(ServiceBusMessage(b"x" * MESSAGE_BYTES_MAX)))

    await asyncio.gather(*[sender.send_messages(ServiceBusMessage("a")) for sender in senders])

    with pytest.raises(MessageSizeExceededError):
        await too_large
    assert await place.peek() == ["a", "a", "a"]
