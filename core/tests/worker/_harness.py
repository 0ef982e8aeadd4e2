"""A world of clients and workers around one `memory:` hub, in one event loop and in virtual time.

Nothing here waits for real time, except for activities in threads. A process is a hub connection of its own
(`World.process`) with a worker on it; `Process.kill` takes its hub away in the middle of whatever it does, as SIGKILL
would.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from _faults import Life, MortalCommitter, MortalQueue, MortalStore, ProcessDied

from perdure.client import Client
from perdure.config import WorkerSettings, parse_location
from perdure.hub import OpenHub
from perdure.memory import MemoryCommitter, MemoryQueue, MemoryStore
from perdure.spi import Clock, Environment, OutboxCommitter, Query
from perdure.testing import Expected, ManualClock, SeededEntropy, verify
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.authoring import Definition, Registry
    from perdure.client import History, Run
    from perdure.records import TurnRecord
    from perdure.spi import Committer, HistoryStore, QueueName, Summary, WorkQueue

__all__ = ["DAY", "Process", "SkewedClock", "Supervisor", "World", "decisions", "inputs", "turns"]

T = TypeVar("T")

_names = itertools.count()

DAY = 86_400.0
STEP_FIRST_SECONDS = 0.01
STEP_MAX_SECONDS = 20.0
PRECISELY_SECONDS = 0.2
THREAD_LOOK_SECONDS = 0.002


class SkewedClock(Clock):
    """A machine whose wall clock is off; time itself passes there as everywhere."""

    def __init__(self, true: ManualClock, *, off_seconds: float) -> None:
        self.off_seconds = off_seconds
        self._true = true

    def now(self) -> float:
        return self._true.now() + self.off_seconds

    def monotonic(self) -> float:
        return self._true.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await self._true.wait(event, seconds)


@dataclass(eq=False)
class Process:
    """One process of the world: a connection, a client on it, and perhaps a worker."""

    world: World
    hub: OpenHub
    life: Life
    client: Client
    worker: Worker | None = None
    running: asyncio.Task[None] | None = None

    async def work(self, *definitions: Definition, **settings: Any) -> Worker:
        """Start a worker here."""
        chosen = {"replay_check": "always", **settings}
        self.worker = Worker(self.hub, definitions, WorkerSettings(**chosen))
        self.running = asyncio.create_task(self.worker.run())
        asyncio.get_running_loop().set_exception_handler(_bury_the_dead)
        await asyncio.sleep(0)
        return self.worker

    async def stop(self, *, drain_seconds: float | None = None) -> None:
        """Stop the worker in good order, and give what it failed with."""
        assert self.worker is not None
        assert self.running is not None
        await self.world.finish(self.worker.stop(drain_seconds=drain_seconds))
        await self.running

    async def kill(self) -> None:
        """Take the process away in the middle of whatever it does: from now on nothing it does has an effect."""
        self.life.die()
        if self.running is not None:
            for _ in range(3):  # once to drain, once to break off what drains, once for what came of that
                self.running.cancel()
                await asyncio.sleep(0)


def _bury_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody asked for, but not that the dead have died: each of their tasks has."""
    if not isinstance(context.get("exception"), ProcessDied):
        loop.default_exception_handler(context)


class Supervisor:
    """Starts a worker again whenever its process has died, as an operating system does.

    Attributes:
        process: The one that lives now.
        deaths: How many died before it.
    """

    def __init__(self, world: World, definitions: tuple[Definition, ...], settings: dict[str, Any]) -> None:
        self._world = world
        self._definitions = definitions
        self._settings = settings
        self.deaths = 0
        self.process: Process

    async def watch(self) -> None:
        """Keep one alive for ever."""
        while True:
            self.process = await self._world.worker(*self._definitions, **self._settings)
            while not self.process.life.is_over:
                await self._world.clock.sleep(PRECISELY_SECONDS)
            self.deaths += 1
            await self.process.kill()


@dataclass(eq=False)
class World:
    """Everything around one hub."""

    clock: ManualClock = field(default_factory=ManualClock)
    seed: int = 7
    atomic: bool = True
    store_type: type[MemoryStore] = MemoryStore
    queue_type: type[MemoryQueue] = MemoryQueue
    waits_for_threads: bool = True
    is_judged: bool = True
    processes: list[Process] = field(default_factory=list["Process"])

    def __post_init__(self) -> None:
        self._background: list[asyncio.Task[None]] = []
        self.url = f"memory:world-{next(_names)}"
        self.entropy = SeededEntropy(self.seed)

    async def open(self) -> None:
        """Open the connection that outlives all others, and the client that tests use."""
        self.home = await self.process()
        self.client = self.home.client

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def process(
        self,
        *,
        clock: Clock | None = None,
        life: Life | None = None,
        wrap: Callable[[Committer], Committer] = lambda committer: committer,
        wrap_store: Callable[[HistoryStore], HistoryStore] = lambda store: store,
        wrap_queue: Callable[[WorkQueue], WorkQueue] = lambda queue: queue,
    ) -> Process:
        """Begin a process: another connection to the same hub.

        Args:
            clock: Its own clock; None takes the world's.
            life: Says when it dies.
            wrap: Puts something around its committer.
            wrap_store: The same for its store; what it is given is what the process sees.
            wrap_queue: The same for its queue.
        """
        environment = Environment(clock or self.clock, self.entropy)
        location = parse_location(self.url)
        store, queue = self.store_type(location, environment), self.queue_type(location, environment)
        await store.open()
        await queue.open()
        life = life or Life()
        committer: Committer = MortalCommitter(MemoryCommitter(store, queue), life)
        seen_store = wrap_store(MortalStore(store, life))
        seen_queue = wrap_queue(MortalQueue(queue, life))
        if not self.atomic:
            committer = OutboxCommitter(seen_store, seen_queue, environment.clock)
        hub = OpenHub(seen_store, seen_queue, wrap(committer), environment, name=self.url)
        process = Process(self, hub, life, Client(hub))
        self.processes.append(process)
        return process

    async def worker(self, *definitions: Definition, **settings: Any) -> Process:
        """Begin a process with a worker in it."""
        process = await self.process()
        await process.work(*definitions, **settings)
        return process

    async def supervise(self, *definitions: Definition, **settings: Any) -> Supervisor:
        """Begin a worker that is started again whenever it dies."""
        supervisor = Supervisor(self, definitions, settings)
        self._background.append(asyncio.create_task(supervisor.watch()))
        await asyncio.sleep(0)
        return supervisor

    async def close(self) -> None:
        """Stop every worker that still runs, judge what they left behind, and close every connection."""
        for task in self._background:
            task.cancel()
        try:
            for process in self.processes:
                if process.running is not None and not process.running.done() and not process.life.is_over:
                    await process.stop(drain_seconds=0)
            if self.is_judged:
                await self.judge()
        finally:
            for process in self.processes:
                process.life.revive()
                await process.hub.aclose()

    async def judge(self, registry: Registry | None = None) -> None:
        """Hold every history against the oracles; with code, replay it as well."""
        stalled = frozenset([each.key for each in await self.summaries() if each.stalled])
        report = await verify(self.client, registry, expected=Expected(stalled=stalled))
        assert report.ok, report

    # ---- waiting -------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Let everything run that needs no virtual time to pass, threads included."""
        await self.clock.advance(0)
        while self.waits_for_threads and self._threads_busy():
            await asyncio.sleep(THREAD_LOOK_SECONDS)
            await self.clock.advance(0)

    async def pass_seconds(self, seconds: float) -> None:
        """Let virtual time pass."""
        await self.settle()
        await self.clock.advance(seconds)
        await self.settle()

    async def finish(
        self, doing: Awaitable[T], *, within_seconds: float = 3_600.0, step_max_seconds: float = STEP_MAX_SECONDS
    ) -> T:
        """Await something, letting virtual time pass as it needs, in steps that grow: more of it than needed."""
        task = asyncio.ensure_future(doing)
        until = self.clock.monotonic() + within_seconds
        step = STEP_FIRST_SECONDS
        await self.settle()
        while not task.done():
            if self.clock.monotonic() >= until:
                task.cancel()
                await asyncio.wait([task])
                raise AssertionError(f"not done after {within_seconds:g} virtual seconds: {doing!r}")
            await self.clock.advance(step)
            await self.settle()
            step = min(step * 1.5, step_max_seconds)
        return await task

    async def until(self, is_so: Callable[[], object | Awaitable[object]], *, within_seconds: float = 3_600.0) -> None:
        """Let virtual time pass until a condition holds, and hardly longer."""

        async def look() -> None:
            while True:
                answer = is_so()
                if await answer if inspect.isawaitable(answer) else answer:
                    return
                await self.clock.sleep(STEP_FIRST_SECONDS)

        await self.finish(look(), within_seconds=within_seconds, step_max_seconds=PRECISELY_SECONDS)

    def _threads_busy(self) -> bool:
        workers = [process.worker for process in self.processes if process.worker is not None]
        return any(worker._activities.threads_busy for worker in workers)

    # ---- what users do -------------------------------------------------------------------------------------------

    async def result(self, run: Run[T], *, within_seconds: float = 3_600.0) -> T:
        """Wait for the result of an instance."""
        return await self.finish(run.result(), within_seconds=within_seconds)

    async def history(self, run: Run[Any] | str) -> History:
        """Read a history."""
        return await self.client.history(run if isinstance(run, str) else run.id)

    async def summary(self, run: Run[Any] | str) -> Summary:
        """Read a summary."""
        found = [each async for each in self.client.list(prefix=run if isinstance(run, str) else run.id)]
        return found[0]

    async def summaries(self) -> list[Summary]:
        """Read every summary."""
        return [each async for each in self.home.hub.store.scan(Query())]

    async def is_stalled(self, run: Run[Any]) -> bool:
        """Tell whether an instance is stalled."""
        return bool((await run.summary()).stalled)

    # ---- what is underneath --------------------------------------------------------------------------------------

    @property
    def messages(self) -> Any:
        """Every message of the hub, as the memory provider keeps them."""
        queue: Any = self.home.hub.queue
        return queue.inner.messages

    def waiting(self, queue: str) -> list[Any]:
        """List the messages of a queue: due, not due and held ones."""
        known = self.messages._queues.get(queue)
        return [] if known is None else list(known.messages.values())

    def dead(self) -> list[Any]:
        """List every dead letter."""
        return [letter for queue in self.messages._queues.values() for letter in queue.dead.values()]

    def in_queue(self, name: QueueName | str) -> Counter[str]:
        """Count the messages of a queue by their id."""
        return Counter(message.envelope.message_id for message in self.waiting(name))


def turns(history: History) -> list[TurnRecord]:
    """Pick the records of turns that ran code."""
    return [record for record in history.records if record.was_run]


def inputs(history: History, kind: type[T]) -> list[T]:
    """Pick the inputs of one kind, in order."""
    return [event for record in history.records for event in record.inputs if isinstance(event, kind)]


def decisions(history: History, kind: type[T]) -> list[T]:
    """Pick the decisions of one kind, in order."""
    return [event for record in history.records for event in record.decisions if isinstance(event, kind)]
