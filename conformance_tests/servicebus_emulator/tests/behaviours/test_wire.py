"""What the SDK never does, or hides: frame by frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from _wire import connect, text_of
from perdure_servicebus_emulator import Emulator, ManualClock, Queue
from perdure_servicebus_emulator import _performatives as wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _wire import Wire


@pytest_asyncio.fixture(loop_scope="session")
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(queues=[Queue("q")], clock=ManualClock()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(emulator: Emulator) -> AsyncIterator[Wire]:
    async with connect(emulator.connection_string) as connected:
        await connected.sign_in()
        await connected.authorize()
        yield connected


async def send(client: Wire, *texts: str) -> None:
    """Send messages over a link of their own, handle 9, and wait until they are stored."""
    await client.attach_sender("q", 9)
    for text in texts:
        client.transfer(text, handle=9)
    settled = 0
    while settled < len(texts):
        disposition, _ = await client.expect(wire.Disposition)
        assert isinstance(disposition.state, wire.Accepted)
        last = disposition.first if disposition.last is None else disposition.last
        settled += last - disposition.first + 1


async def test_b07_empty_frames_keep_a_connection_open(emulator: Emulator) -> None:
    """We said that we leave when nothing comes for half a second, and then we say nothing for a while."""
    async with connect(emulator.connection_string) as patient:
        await patient.sign_in(idle_ms=500)

        async with asyncio.timeout(30):
            while patient.heartbeats < 3:
                await patient.read_some()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\x00\x00\x00\x04\x02\x00\x00\x00", id="a frame shorter than its header"),
        pytest.param(b"\xff\xff\xff\xff\x02\x00\x00\x00", id="a frame of four gigabytes"),
        pytest.param(b"\x00\x00\x00\x0c\x02\x00\x00\x00\xff\xff\xff\xff", id="a body that is no value"),
        pytest.param(b"\x00\x00\x00\x0c\x02\x00\x00\x00\x00\x53\x14\x45", id="a transfer without a handle"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
    ],
)
async def test_b08_what_is_no_amqp_ends_its_connection_only(emulator: Emulator, client: Wire, garbage: bytes) -> None:
    async with connect(emulator.connection_string) as broken:
        await broken.sign_in()

        broken.writer.write(garbage)

        close, _ = await broken.expect(wire.Close)
        assert close.error is not None
        broken.send(wire.Close())
        assert await broken.ended()
    await send(client, "a")


async def test_b18_a_settled_message_is_taken_without_an_answer(client: Wire) -> None:
    await client.attach_sender("q")
    client.transfer("settled", settled=True)
    await send(client, "unsettled")

    await client.attach_receiver("q", 1)
    client.flow(1, 2)

    texts = [text_of((await client.expect(wire.Transfer))[1]) for _ in range(2)]
    assert texts == ["settled", "unsettled"]
    assert not [frame for frame, _ in client.arrived if isinstance(frame, wire.Disposition)]


async def test_b36_receivers_are_served_in_the_order_in_which_they_asked(client: Wire) -> None:
    for handle in (1, 2, 3):
        await client.attach_receiver("q", handle)
    for handle in (2, 3, 1):
        client.flow(handle, 1)

    await send(client, "a", "b", "c")

    transfers = [await client.expect(wire.Transfer) for _ in range(3)]
    assert [(transfer.handle, text_of(payload)) for transfer, payload in transfers] == [(2, "a"), (3, "b"), (1, "c")]


async def test_b40_a_drained_link_has_no_credit_left(client: Wire) -> None:
    await client.attach_receiver("q", 1)
    await send(client, "a", "b")
    while client.arrived:  # Credit of the sending link.
        client.arrived.pop()

    client.flow(1, 5, drain=True)

    flow, _ = await client.expect(wire.Flow)
    assert (flow.handle, flow.link_credit, flow.delivery_count, flow.drain) == (1, 0, 5, True)
    texts = [text_of(payload) for frame, payload in client.arrived if isinstance(frame, wire.Transfer)]
    assert texts == ["a", "b"]
    await send_more(client, "late")
    assert not [frame for frame, _ in client.arrived if isinstance(frame, wire.Transfer)]


async def send_more(client: Wire, text: str) -> None:
    """Send one more message over the link of `send`, and wait until it is stored."""
    client.arrived.clear()
    client.transfer(text, handle=9)
    await client.expect(wire.Disposition)


async def test_b45_one_disposition_settles_a_range(client: Wire) -> None:
    await send(client, "a", "b", "c", "d")
    await client.attach_receiver("q", 1)
    client.flow(1, 4)
    first, _, _, last = [(await client.expect(wire.Transfer))[0] for _ in range(4)]
    assert first.delivery_id is not None
    assert last.delivery_id == first.delivery_id + 3

    client.send(wire.Disposition(role=True, first=first.delivery_id, last=last.delivery_id - 1, state=wire.Accepted()))
    settled: set[int] = set()
    while len(settled) < 3:
        answer, _ = await client.expect(wire.Disposition)
        assert (answer.role, answer.settled, answer.state) == (False, True, wire.Accepted())
        settled.update(range(answer.first, (answer.first if answer.last is None else answer.last) + 1))
    client.send(wire.Disposition(role=True, first=last.delivery_id, state=wire.Released()))

    await client.attach_receiver("q", 2)
    client.flow(2, 4)
    again, payload = await client.expect(wire.Transfer)
    assert (again.handle, text_of(payload)) == (2, "d")
    assert settled == {first.delivery_id, first.delivery_id + 1, first.delivery_id + 2}


@pytest.mark.parametrize("name", ["q/$deadletterqueue", "q/$DeadLetterQueue", "Q/$DEADLETTERQUEUE"])
async def test_b55_case_does_not_matter_in_the_name_of_the_sub_queue(client: Wire, name: str) -> None:
    await send(client, "a")
    await client.attach_receiver("q", 1)
    client.flow(1, 1)
    transfer, _ = await client.expect(wire.Transfer)
    assert transfer.delivery_id is not None
    error = wire.AmqpError("com.microsoft:dead-letter", None, {"DeadLetterReason": "why"})
    client.send(wire.Disposition(role=True, first=transfer.delivery_id, state=wire.Rejected(error)))
    await client.expect(wire.Disposition)

    answer = await client.attach_receiver(name, 2)
    client.flow(2, 1)

    assert answer.source is not None
    assert answer.source.address == name
    assert text_of((await client.expect(wire.Transfer))[1]) == "a"
