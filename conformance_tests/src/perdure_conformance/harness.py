"""Harness: how the suite gets clients of a backend, lets time pass for them, and damages what they stored."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import pytest
import pytest_asyncio

from perdure.spi import (
    Delivery,
    Environment,
    HistoryStore,
    OutboxCommitter,
    QueueName,
    SystemClock,
    SystemEntropy,
    WorkerId,
    WorkQueue,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from pathlib import Path
    from types import TracebackType

    from perdure.spi import Committer, Key, StoredPayload

__all__ = ["LARGEST_TRIED_BYTES", "Addresses", "Backend", "Contract", "Harness", "at_limit"]

T = TypeVar("T")

WAIT_SECONDS = 20.0
"""How long a receive waits for a message: as long as services allow."""

PATIENCE_SECONDS = 15.0
"""How long something that must come is waited for. Only a broken backend takes so long."""

TICK_FIRST_SECONDS, TICK_LAST_SECONDS = 0.001, 0.05
LARGEST_TRIED_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Backend:
    """One client of everything: what one process would hold."""

    store: HistoryStore
    queue: WorkQueue
    committer: Committer


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where other processes connect to what one harness opens clients of.

    Attributes:
        store: URL of the store, for `perdure.connect(store=…)`. Its provider must be installed.
        queue: URL of the queue; None for the one that naturally goes with the store.
        environment: Variables that the processes need beside those of this one: credentials, say.
        probe: `module:function` that each worker process calls with its `torture.Row`, to show there when it holds a
            lock that keeps other processes waiting (`torture.Phase.TRANSACTION`); empty where there is none.
            `environment` must let the module be found.
    """

    store: str
    queue: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    probe: str = ""


class Harness(ABC):
    """One backend, empty, for one test. Subclass it and say how its clients are made.

    Attributes:
        moment: Shortest lease and delay, in seconds, that the backend keeps. Tests that wait wait for a few of them.
        time_is_virtual: `let_time_pass` takes no time, so tests may let days pass.
        environment: Clock and entropy for the clients. A subclass with a virtual clock replaces it.
        gaps: Clauses that the backend does not keep, and why: `{"Q9": "it has no groups"}`. Their tests are not held
            against it; the report lists them.

    Args:
        folder: A path of this test's own where nothing is yet; its parent is otherwise empty.
    """

    moment: float = 1.0
    time_is_virtual: bool = False
    gaps: ClassVar[Mapping[str, str]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = Environment(clock=SystemClock(), entropy=SystemEntropy())
        self._opened: list[HistoryStore | WorkQueue] = []
        self._calls: list[asyncio.Task[Any]] = []

    # ── what a subclass says ─────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def make_store(self) -> HistoryStore:
        """Make one more client of the store, not opened yet. All clients of one harness reach the same storage."""

    @abstractmethod
    def make_queue(self) -> WorkQueue:
        """Make one more client of the queue, not opened yet. All clients of one harness reach the same messages."""

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        """Tie two open clients. Override it where the backend has a committer of its own."""
        return OutboxCommitter(store, queue, self.environment.clock)

    async def start(self) -> None:
        """Get ready: called once, before anything else."""

    async def stop(self) -> None:
        """Clean up: called once, after every client was closed."""

    async def let_time_pass(self, seconds: float) -> None:
        """Move the backend's time forward, and let waiting calls notice. Override it where the clock is virtual."""
        await asyncio.sleep(seconds)

    def addresses(self) -> Addresses | None:
        """Say where other processes connect. None: they cannot; what needs some is then skipped with that reason."""
        return None

    async def corrupt_record(self, key: Key, version: int) -> bool:
        """Damage a stored record. False: this harness cannot; the clause is then skipped with that reason."""
        del key, version
        return False

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        """Damage a stored payload. False: this harness cannot; the clause is then skipped with that reason."""
        del payload
        return False

    # ── what the contracts use ───────────────────────────────────────────────────────────────────────────────────

    async def open_store(self) -> HistoryStore:
        """Open a fresh, independent client of the store."""
        store = self.make_store()
        await store.open()
        self._opened.append(store)
        return store

    async def open_queue(self) -> WorkQueue:
        """Open a fresh, independent client of the queue."""
        queue = self.make_queue()
        await queue.open()
        self._opened.append(queue)
        return queue

    async def open_backend(self) -> Backend:
        """Open a fresh store and a fresh queue, and tie them with a committer."""
        store, queue = await self.open_store(), await self.open_queue()
        return Backend(store, queue, self.make_committer(store, queue))

    def begin(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a call beside the test; what still runs at its end is cancelled."""
        task = asyncio.create_task(call)
        self._calls.append(task)
        return task

    async def finish(
        self, call: Coroutine[Any, Any, T] | asyncio.Task[T], within_seconds: float = PATIENCE_SECONDS
    ) -> T:
        """Let time pass until a call has ended, and fail if it takes longer than `within_seconds`."""
        task = call if isinstance(call, asyncio.Task) else self.begin(call)
        passed = 0.0
        await self.let_time_pass(0)
        while not task.done() and passed < within_seconds:
            tick = min(TICK_LAST_SECONDS, max(TICK_FIRST_SECONDS, passed / 2))
            await self.let_time_pass(tick)
            passed += tick
        if not task.done():
            pytest.fail(f"A call has not ended within {within_seconds} seconds: {task.get_coro()!r}")
        return task.result()

    def begin_receive(
        self,
        queue: WorkQueue,
        name: QueueName,
        *,
        limit: int = 1,
        lease_seconds: float = 60,
        worker: str = "worker",
        wait_seconds: float = WAIT_SECONDS,
    ) -> asyncio.Task[list[Delivery]]:
        """Start a receive beside the test."""
        call = queue.receive(
            name, limit=limit, lease_seconds=lease_seconds, wait_seconds=wait_seconds, worker=WorkerId(worker)
        )
        return self.begin(call)

    async def receive_many(
        self, queue: WorkQueue, name: QueueName, count: int, *, lease_seconds: float = 60, worker: str = "worker"
    ) -> list[Delivery]:
        """Receive `count` messages that must be there or come soon, in as many calls as it takes."""
        found: list[Delivery] = []
        while len(found) < count:
            call = self.begin_receive(queue, name, limit=count - len(found), lease_seconds=lease_seconds, worker=worker)
            # The call would wait for longer: one that ends only then has not noticed what came.
            more = await self.finish(call)
            assert more, f"{name}: {count} messages were expected, there were {len(found)}"
            found += more
        return found

    async def receive_one(
        self, queue: WorkQueue, name: QueueName, *, lease_seconds: float = 60, worker: str = "worker"
    ) -> Delivery:
        """Receive one message that must be there or come soon."""
        (found,) = await self.receive_many(queue, name, 1, lease_seconds=lease_seconds, worker=worker)
        return found

    async def look(self, queue: WorkQueue, name: QueueName, *, worker: str = "looker") -> list[Delivery]:
        """Receive whatever is there now, without waiting."""
        return await self.finish(self.begin_receive(queue, name, limit=100, worker=worker, wait_seconds=0))

    async def aclose(self) -> None:
        """Close every client."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        for client in reversed(self._opened):
            await client.aclose()
        await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Contract:
    """What the contracts share: a started harness per test."""

    harness: type[Harness]
    """Set it in the subclass."""

    level: int = 0
    """Which of `profiles.LEVELS` its tests are of: 0 clauses, 1 limits, 2 races, 3 model … 7 crashes."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture(name="harness")
    async def start_harness(self, tmp_path: Path) -> AsyncIterator[Harness]:
        """Give each test an empty backend."""
        async with self.harness(tmp_path / "hub") as harness:
            yield harness


def at_limit(limit: float, name: str) -> int:
    """Give a limit in bytes to try, or skip the test because it is too large to."""
    if limit > LARGEST_TRIED_BYTES:
        pytest.skip(f"{name}={limit} is above {LARGEST_TRIED_BYTES} bytes, the most that is tried")
    return int(limit)
