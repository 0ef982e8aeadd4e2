"""Connections and links: who gets in, and what a broken one costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _place import bodies
from _wire import connect
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessagingEntityNotFoundError, ServiceBusError
from perdure_servicebus_emulator import _performatives as wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place


async def test_b01_a_client_with_a_connection_string_gets_in(place: Place) -> None:
    await place.send("a")

    assert bodies([await place.receive_one()]) == ["a"]


async def test_b01_nobody_gets_in_without_a_token(place: Place) -> None:
    async with connect(place.emulator.connection_string) as client:
        await client.sign_in()

        await client.attach_receiver("q")

        detach, _ = await client.expect(wire.Detach)
        assert detach.closed
        assert detach.error is not None
        assert detach.error.condition == "amqp:unauthorized-access"


@pytest.mark.parametrize("role", ["sender", "receiver"])
async def test_b02_a_queue_that_does_not_exist_is_not_found(
    open_place: Callable[..., Awaitable[Place]], role: str
) -> None:
    place = await open_place()

    with pytest.raises(MessagingEntityNotFoundError):
        await getattr(place.sdk, role)("nowhere")


async def test_b03_queues_do_not_see_each_others_messages(place: Place) -> None:
    elsewhere = await place.new_receiver("other")
    to_elsewhere = await place.sdk.sender("other")

    await place.send("here")
    await to_elsewhere.send_messages(ServiceBusMessage("there"))

    assert await place.peek() == ["here"]
    assert await place.peek(elsewhere) == ["there"]
    assert bodies(await place.receive(1, elsewhere)) == ["there"]


async def test_b04_a_large_message_is_carried_in_several_frames(place: Place) -> None:
    """The SDK takes frames of 64 KiB."""
    body = bytes(range(256)) * 900

    await place.sender.send_messages(ServiceBusMessage(body))

    message = await place.receive_one()
    assert b"".join(message.body) == body


async def test_b05_what_was_accepted_outlives_the_connection(place: Place) -> None:
    await place.send("a")
    place.emulator.drop_connections()
    client = place.new_client(retry_total=3)
    sender, receiver = await client.sender("q"), await client.receiver("q")

    await sender.send_messages(ServiceBusMessage("b"))

    assert bodies(await place.receive(2, receiver)) == ["a", "b"]


async def test_b06_a_send_without_an_answer_may_have_been_stored(place: Place) -> None:
    place.emulator.lose_answers(1)

    with pytest.raises(ServiceBusError):
        await place.sender.send_messages(ServiceBusMessage("a"), timeout=5)

    await place.send("a")
    assert await place.peek() == ["a", "a"]
