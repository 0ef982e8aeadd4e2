"""What a killed server still knows, and which servers are refused."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from perdure.spi import (
    Committed,
    Environment,
    Location,
    Misuse,
    QueueName,
    SystemClock,
    SystemEntropy,
    Unavailable,
    Unknown,
)
from perdure_conformance.material import ORDER, addition, creation, message, read_head
from redis import Redis

from perdure_redis import RedisQueue, RedisStore, _connection
from test_conformance import RedisHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conftest import Server

pytestmark = pytest.mark.asyncio

NAME = QueueName("tasks:mail")


@pytest_asyncio.fixture
async def harness(tmp_path: Path) -> AsyncIterator[RedisHarness]:
    async with RedisHarness(tmp_path / "hub") as harness:
        yield harness


async def test_h1_q1_a_killed_server_begins_again_with_all_it_has_acknowledged(
    harness: RedisHarness, server: Server
) -> None:
    """A SIGKILL, not a power cut: that the disk keeps what it says it has is the machine's promise."""
    store, queue = await harness.open_store(), await harness.open_queue()
    await store.append(creation(ORDER))
    for version in range(1, 50):
        await store.append(addition(ORDER, version))
        await queue.send([message(NAME, f"m-{version}")])

    server.kill()
    server.begin()

    later, others = await harness.open_store(), await harness.open_queue()
    assert [record.version for record in (await read_head(later, ORDER)).records] == list(range(1, 51))
    assert len(await harness.receive_many(others, NAME, 49)) == 49


async def test_without_an_answer_an_append_is_unknown_and_everything_else_unavailable(
    harness: RedisHarness, server: Server
) -> None:
    """The append may have got through: core repeats it until it knows (H4)."""
    store, queue = await harness.open_store(), await harness.open_queue()
    await store.append(creation(ORDER))
    server.kill()
    try:
        with pytest.raises(Unknown):
            await store.append(addition(ORDER, 1))
        with pytest.raises(Unavailable):
            await store.read(ORDER)
        with pytest.raises(Unavailable):
            await queue.receive(NAME, limit=1, lease_seconds=1, wait_seconds=0, worker="w")
        (outcome,) = await queue.send([message(NAME)])
        assert isinstance(outcome.error, Unavailable)
    finally:
        server.begin()


async def test_a_server_that_is_silent_is_not_waited_for_for_ever(
    harness: RedisHarness, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was cut off closes no connection."""
    monkeypatch.setattr(_connection, "ANSWER_SECONDS_MAX", 0.3)
    store = await harness.open_store()
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="no answer"):
            await store.read(ORDER)
        with pytest.raises(Unknown, match="no answer"):
            await store.append(creation(ORDER))
    finally:
        server.process.send_signal(signal.SIGCONT)

    assert await store.append(creation(ORDER)) == Committed(version=1)


@pytest.mark.parametrize(
    ("setting", "value", "needed"),
    [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
    ],
)
async def test_a_server_that_forgets_is_refused(server: Server, setting: str, value: str, needed: str) -> None:
    """Not found out by the first power cut."""
    with Redis(port=server.port) as redis:
        redis.config_set(setting, value)
        try:
            with pytest.raises(Misuse, match=f"{setting} {value}.*{setting} {needed}"):
                await at(server).open()
            accepted = at(server, durability="unchecked")
            await accepted.open()
            await accepted.aclose()
        finally:
            redis.config_set(setting, needed)


@pytest.mark.parametrize("path", ["localhost", "localhost:port/0", "me:secret@localhost:6379/0", ":6379", "a:1/x"])
@pytest.mark.parametrize("kind", [RedisStore, RedisQueue])
async def test_an_address_that_makes_no_sense_is_refused(kind: type[RedisStore | RedisQueue], path: str) -> None:
    with pytest.raises(Misuse, match="HOST:PORT/DATABASE"):
        kind(Location(url=f"redis://{path}", scheme="redis", path=path, options={}), ENVIRONMENT)


async def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Misuse, match="remove tls"):
        RedisStore(Location(url="redis://a:1?tls=1", scheme="redis", path="a:1", options={"tls": "1"}), ENVIRONMENT)


ENVIRONMENT = Environment(clock=SystemClock(), entropy=SystemEntropy())


def at(server: Server, **options: str) -> RedisStore:
    path = f"127.0.0.1:{server.port}/0"
    return RedisStore(Location(url=f"redis://{path}", scheme="redis", path=path, options=options), ENVIRONMENT)
