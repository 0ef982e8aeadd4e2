"""The emulator as tests use it: faults over a socket, and the command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from _wire import Wire, connect, text_of
from perdure_servicebus_emulator import Emulator, ManualClock, Queue
from perdure_servicebus_emulator import _performatives as wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE_SECONDS = 60


@pytest_asyncio.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator([Queue("q")], clock=ManualClock()) as running:
        yield running


@pytest_asyncio.fixture
async def client(emulator: Emulator) -> AsyncIterator[Wire]:
    """A client with a link to the queue, handle 0, and one from there, handle 1."""
    async with connect(emulator.connection_string) as connected:
        await connected.sign_in()
        await connected.authorize()
        await connected.attach_sender("q")
        await connected.attach_receiver("q", 1)
        yield connected


@pytest_asyncio.fixture
async def held(client: Wire) -> int:
    """The delivery id of a message "a" that the client holds."""
    client.transfer("a")
    await client.expect(wire.Disposition)
    client.flow(1, 1)
    transfer, _ = await client.expect(wire.Transfer)
    assert transfer.delivery_id is not None
    return transfer.delivery_id


def complete(client: Wire, delivery_id: int) -> None:
    """Complete a message."""
    client.send(wire.Disposition(role=True, first=delivery_id, state=wire.Accepted()))


def condition_of(disposition: wire.Disposition) -> str | None:
    """Say why something was rejected."""
    state = disposition.state
    return state.error.condition if isinstance(state, wire.Rejected) and state.error is not None else None


async def test_links_are_detached_and_may_be_attached_again(emulator: Emulator, client: Wire) -> None:
    emulator.detach_links()

    reasons = [(await client.expect(wire.Detach))[0].error for _ in range(2)]
    assert {reason.condition for reason in reasons if reason is not None} == {"amqp:link:detach-forced"}
    client.send(wire.Detach(0, closed=True))
    await client.attach_sender("q", 0)
    client.transfer("b")
    assert isinstance((await client.expect(wire.Disposition))[0].state, wire.Accepted)


async def test_expired_locks_are_lost(emulator: Emulator, client: Wire, held: int) -> None:
    emulator.expire_locks()

    complete(client, held)

    assert condition_of((await client.expect(wire.Disposition))[0]) == "com.microsoft:message-lock-lost"


async def test_a_busy_server_settles_nothing(emulator: Emulator, client: Wire, held: int) -> None:
    emulator.answer_busy(1, "settle")

    complete(client, held)

    assert condition_of((await client.expect(wire.Disposition))[0]) == "com.microsoft:server-busy"
    await emulator.advance(60)
    client.flow(1, 1, delivery_count=1)
    assert text_of((await client.expect(wire.Transfer))[1]) == "a"


async def test_a_settlement_whose_answer_is_lost_has_happened(emulator: Emulator, client: Wire, held: int) -> None:
    emulator.lose_answers(1, "settle", is_cut=False)

    complete(client, held)
    client.transfer("b")

    answer, _ = await client.expect(wire.Disposition)
    assert answer.role, "The first answer is to the message that was sent later."
    await emulator.advance(60)
    client.flow(1, 1, delivery_count=1)
    assert text_of((await client.expect(wire.Transfer))[1]) == "b"


async def test_delayed_frames_come_late_and_in_their_order(emulator: Emulator, client: Wire) -> None:
    emulator.delay(0.05)
    for text in "bcd":
        client.transfer(text)
        await client.writer.drain()
    client.flow(1, 3)

    emulator.delay(0)

    texts = [text_of((await client.expect(wire.Transfer))[1]) for _ in range(3)]
    assert texts == ["b", "c", "d"]


async def test_a_clock_that_moves_by_itself_is_not_advanced() -> None:
    async with Emulator([Queue("q")]) as emulator:
        with pytest.raises(TypeError, match="clock=ManualClock"):
            await emulator.advance(1)


async def test_locks_end_by_the_clock_of_the_system() -> None:
    async with Emulator([Queue("q", lock_seconds=0.2)]) as emulator, connect(emulator.connection_string) as client:
        await client.sign_in()
        await client.authorize()
        await client.attach_sender("q")
        await client.attach_receiver("q", 1)
        client.flow(1, 2)
        client.transfer("a")

        texts = [text_of((await client.expect(wire.Transfer))[1]) for _ in range(2)]

        assert texts == ["a", "a"]


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "n", "Queues": [{"Name": "q"}]}]}}), "utf-8")
    return file


def command(*arguments: str) -> subprocess.Popen[str]:
    """Start it."""
    whole = [sys.executable, "-m", "perdure_servicebus_emulator", *arguments]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_is_and_ends_when_asked(config: Path, stop: signal.Signals) -> None:
    with command("--port", "0", "--config", str(config)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.removeprefix("Endpoint=sb://127.0.0.1:").split(";")[0])
        with socket.create_connection(("127.0.0.1", port)):
            process.send_signal(stop)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_named(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("--port", port, "--config", str(config)) as process:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in errors


def test_a_configuration_that_is_none_is_named(tmp_path: Path) -> None:
    with command("--config", str(tmp_path / "nowhere.json")) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 2
    assert "nowhere.json" in errors
