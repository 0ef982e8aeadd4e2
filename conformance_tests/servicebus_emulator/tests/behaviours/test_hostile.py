"""Clients that send rubbish, half of something, or nothing: the others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest_asyncio
from _place import bodies
from _wire import connect
from azure.servicebus import ServiceBusMessage
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._frames import AMQP_HEADER, SASL_HEADER, frame_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _place import Place
    from _wire import Wire

CONNECTIONS = 200
AT_ONCE = 20

GOOD = b"".join([
    SASL_HEADER,
    frame_bytes(0, wire.encode(wire.SaslInit("ANONYMOUS")), kind=1),
    AMQP_HEADER,
    *[
        frame_bytes(0, wire.encode(frame))
        for frame in (
            wire.Open("hostile", "127.0.0.1"),
            wire.Begin(None, 0, 100, 100, 255),
            wire.Attach("cbs", 0, role=False, source=wire.Source("me"), target=wire.Target("$cbs")),
            wire.Transfer(0, 0, b"tag0", 0, settled=False),
        )
    ],
])  # fmt: skip


def damaged(random: Random) -> bytes:
    """Give the good beginning of a connection with some bytes changed, cut off or put in."""
    data = bytearray(GOOD)
    for _ in range(random.randrange(1, 6)):
        data[random.randrange(8, len(data))] = random.randrange(256)
    if random.random() < 0.5:
        del data[random.randrange(len(SASL_HEADER), len(data)) :]
    return bytes(data) + random.randbytes(random.choice((0, 10, 1000)))


@pytest_asyncio.fixture(loop_scope="session")
async def silent(place: Place) -> AsyncIterator[Wire]:
    """A connection that begins a frame and never ends it, for as long as the test runs."""
    async with connect(place.emulator.connection_string) as client:
        client.writer.write(SASL_HEADER + b"\x00\x00\xff\xff\x02")
        yield client


async def test_hostile_clients_do_not_disturb_the_others(place: Place, silent: Wire) -> None:
    assert not silent.arrived
    random, places = Random(11), asyncio.Semaphore(AT_ONCE)

    async def disturb(data: bytes) -> None:
        async with places, connect(place.emulator.connection_string) as client:
            client.writer.write(data)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # Or it is thrown out before.
                await client.writer.drain()
                assert await client.read_raw(8) == SASL_HEADER  # It was heard.

    attacks = [asyncio.ensure_future(disturb(damaged(random))) for _ in range(CONNECTIONS)]
    await place.send("a", "b")
    await asyncio.gather(*attacks)
    await place.send("c")

    assert bodies(await place.receive(3)) == ["a", "b", "c"]


async def test_a_number_that_is_asked_for_twice_is_one_message(place: Place) -> None:
    due = datetime.fromtimestamp(place.clock.now(), UTC) + timedelta(seconds=100)
    (scheduled,) = await place.sender.schedule_messages(ServiceBusMessage("scheduled"), due)
    await place.send("deferred")
    message = await place.receive_one()
    await place.receiver.defer_message(message)

    await place.sender.cancel_scheduled_messages([scheduled, scheduled])
    (again,) = await place.receiver.receive_deferred_messages([message.sequence_number] * 2)
    await place.receiver.complete_message(again)
    await place.let_time_pass(1000)

    assert await place.peek() == []
    await place.send("a")
    assert bodies([await place.receive_one()]) == ["a"]
