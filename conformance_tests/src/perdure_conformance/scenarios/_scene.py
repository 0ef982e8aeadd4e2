"""A scene: one hub with clients and workers around it, on whatever backend and clock a harness gives."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pytest

from perdure import History, OrchestrationError, WorkerSettings
from perdure.authoring import Orchestration, Registry
from perdure.client import Client
from perdure.events import EventRaised
from perdure.hub import OpenHub
from perdure.testing import Expected, verify
from perdure_conformance.scenarios._line import Line, along
from perdure_conformance.scenarios._process import Life, Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from perdure import Call, Event, Failure, Run
    from perdure.authoring import Definition
    from perdure.records import TurnRecord
    from perdure.spi import Clock, Summary
    from perdure.testing import Effect
    from perdure_conformance.harness import Backend, Harness

__all__ = ["Scene", "turns_of"]

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long something that must come is waited for. Only what is broken takes so long."""

VIRTUAL_PATIENCE_SECONDS = 3_600.0
STEP_FIRST_SECONDS, STEP_MAX_SECONDS, STEP_PRECISE_SECONDS = 0.01, 20.0, 0.2
LOOK_SECONDS = 0.01
THREAD_LOOK_SECONDS = 0.001
LEASE_MOMENTS = 10


class Scene:
    """Everything around one hub. At the end the oracles judge what all that happened has left.

    Attributes:
        harness: Gives the backend and its time.
        hub: A connection that outlives every process, without a line between.
        client: A client beside it.
        moment: A short time in seconds that passes in no time, or soon.
        lease_seconds: A lease for workers that will be killed: others get their work when it has ended.
        waits_for_threads: Whether virtual time stands still while an activity runs in a thread.
        effects: What all activities write down, if they do; set it before the end.
    """

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.moment = harness.moment
        self.lease_seconds = LEASE_MOMENTS * harness.moment
        self.waits_for_threads = True
        self.effects: Sequence[Effect] | None = None
        self._processes: list[Process] = []
        self._definitions: dict[tuple[str, str | None], Orchestration[..., Any]] = {}
        self._changed: set[str] = set()
        self._started: list[str] = []
        self._sent: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        backend = await self.harness.open_backend()
        self.hub = self._hub(backend)
        self.client = Client(self._hub(along(backend, self.clock, self.line(works=False))))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()
        await self.judge()

    async def stop_all(self) -> None:
        """Stop every worker, and have what it does given back."""
        for process in self._processes:
            if process.is_working:
                await self.stop(process, drain_seconds=0)

    def _hub(self, backend: Backend) -> OpenHub:
        parts = (backend.store, backend.queue, backend.committer)
        return OpenHub(*parts, self.harness.environment, name="the hub")

    def line(self, *, works: bool) -> Line:
        """Give a line to the hub: what every process of the scene, and the scene's client, makes its calls along.

        Args:
            works: It is a worker's: whatever goes wrong there, nobody else has to notice.
        """
        del works
        return Line()

    # ── processes ────────────────────────────────────────────────────────────────────────────────────────────────

    async def process(self, *, works: bool = False, life: Life | None = None) -> Process:
        """Begin a process: another connection to the same hub.

        Args:
            works: It is to be a worker.
            life: Says when it dies; None means that it does not by itself.
        """
        life = life or Life()
        life.beyond = self.line(works=works)
        process = Process(await self.harness.open_backend(), self.harness.environment, life)
        self._processes.append(process)
        return process

    async def worker(self, *definitions: Definition, life: Life | None = None, **settings: Any) -> Process:
        """Begin a process with a worker in it, which runs each turn twice unless told otherwise.

        Args:
            definitions: What it can run.
            life: As of `process`.
            settings: Of `WorkerSettings`.
        """
        for each in definitions:
            if isinstance(each, Orchestration):
                self._note(each)
        process = await self.process(works=True, life=life)
        await process.work(definitions, WorkerSettings(**({"replay_check": "always"} | settings)))
        return process

    def _note(self, definition: Orchestration[..., Any]) -> None:
        """Remember code to judge with, unless there is other code of that name: then no history is of one alone."""
        if self._definitions.setdefault((definition.name, definition.version), definition) is not definition:
            self._changed.add(definition.name)

    def forgive(self, name: str) -> None:
        """Do not replay the instances of an orchestration at the end: its code is wrong on purpose."""
        self._changed.add(name)

    async def stop(self, process: Process, *, drain_seconds: float | None = None) -> None:
        """Stop a worker in good order."""
        await self.finish(process.stop(drain_seconds))

    async def judge(self) -> None:
        """Hold every history and every queue against the oracles. Nobody may be at work."""
        known = [each for each in self._definitions.values() if each.name not in self._changed]
        stalled = frozenset([each.key for each in await self.instances() if each.stalled])
        effects = None if self.effects is None else tuple(self.effects)
        expected = Expected(started=tuple(self._started), sent=tuple(self._sent), stalled=stalled, effects=effects)
        report = await self.finish(verify(Client(self.hub), Registry(known), expected=expected, is_quiet=True))
        assert report.ok, report

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def clock(self) -> Clock:
        """The clock of every process."""
        return self.harness.environment.clock

    def needs_virtual_time(self, why: str) -> None:
        """Skip the scenario where time is real: it would take too long."""
        if not self.harness.time_is_virtual:
            pytest.skip(f"time is real here, and {why}")

    async def pass_moments(self, count: float) -> None:
        """Let a number of moments pass."""
        await self.settle()
        await self.harness.let_time_pass(count * self.moment)
        await self.settle()

    async def settle(self) -> None:
        """Let run what is ready. Real time gives no more than a turn of the event loop: wait for a condition there."""
        await self.harness.let_time_pass(0)
        while self.harness.time_is_virtual and self.waits_for_threads and self._threads_busy():
            await asyncio.sleep(THREAD_LOOK_SECONDS)
            await self.harness.let_time_pass(0)

    def _threads_busy(self) -> bool:
        return any(process.threads_busy for process in self._processes)

    async def finish(self, doing: Awaitable[T], *, step_max_seconds: float = STEP_MAX_SECONDS) -> T:
        """Await something that must come, and let the time pass that it needs; virtual time may go a bit further."""
        task = asyncio.ensure_future(doing)
        if self.harness.time_is_virtual:
            await self._drive(task, step_max_seconds)
        else:
            await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            pytest.fail(f"This must come and does not: {doing!r}; the hub holds {await self._listed()}")
        return task.result()

    async def _drive(self, task: asyncio.Future[Any], step_max_seconds: float) -> None:
        until = self.clock.monotonic() + VIRTUAL_PATIENCE_SECONDS
        step = STEP_FIRST_SECONDS
        await self.settle()
        while not task.done() and self.clock.monotonic() < until:
            await self.harness.let_time_pass(step)
            await self.settle()
            step = min(step * 1.5, step_max_seconds)

    async def until(self, is_so: Callable[[], object | Awaitable[object]]) -> None:
        """Wait until a condition holds, and hardly longer."""

        async def look() -> None:
            while True:
                answer = is_so()
                if await answer if inspect.isawaitable(answer) else answer:
                    return
                await self.clock.sleep(LOOK_SECONDS)

        await self.finish(look(), step_max_seconds=STEP_PRECISE_SECONDS)

    # ── what users do ────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, call: Call[T], **options: Any) -> Run[T]:
        """Start an instance, which must then be there for ever."""
        run = await self.finish(self.client.start(call, **options))
        self._started.append(run.id)
        return run

    async def send(self, run: Run[Any], event: Event[T], *values: T) -> None:
        """Send events, none of which may get lost."""
        for value in values:
            event_id = f"e-{len(self._sent)}"
            await self.finish(run.send(event, value, event_id=event_id))
            self._sent.append((run.id, event_id))

    async def result(self, run: Run[T]) -> T:
        """Wait for a result."""
        return await self.finish(run.result())

    async def outcome(self, call: Call[T], **options: Any) -> T:
        """Start an instance and wait for its result."""
        return await self.result(await self.start(call, **options))

    async def failure(self, call: Call[Any] | Run[Any], **options: Any) -> Failure:
        """Wait for an instance that must fail, and tell how; a call is started first."""
        run = call if not inspect.isawaitable(call) else await self.start(call, **options)
        with pytest.raises(OrchestrationError) as caught:
            await self.result(run)
        return caught.value.failure

    # ── what can be seen ─────────────────────────────────────────────────────────────────────────────────────────

    async def instances(self, **conditions: Any) -> list[Summary]:
        """List instances as they are now; each condition of `Client.list` may be given."""
        lag_seconds = self.hub.store.capabilities.scan_lag_seconds
        if lag_seconds == 0:
            return await self._listed(**conditions)
        await self.harness.let_time_pass(lag_seconds)  # H8: what happened since then may be missing
        return await self.finish(self._listed(**conditions))

    async def _listed(self, **conditions: Any) -> list[Summary]:
        """List instances, as far behind as the store's scans are."""
        return [each async for each in self.client.list(**conditions)]

    async def ids(self, **conditions: Any) -> list[str]:
        """List the ids of instances."""
        return [each.key for each in await self.instances(**conditions)]

    async def summary(self, id: str) -> Summary:
        """Look at one instance."""
        return await (await self.client.get(id)).summary()

    async def history(self, run: Run[Any] | str) -> History:
        """Read a history."""
        return await self.client.history(run if isinstance(run, str) else run.id)

    async def turned(self, run: Run[Any], count: int = 1) -> None:
        """Wait until the code of an instance has run for a number of turns, all told.

        A start and an event that follow each other may share a turn (R18): wait for the first one in between.
        """

        async def has_turned() -> bool:
            return len(turns_of(await self.history(run))) >= count

        await self.until(has_turned)

    async def taken_in(self, run: Run[Any], count: int) -> None:
        """Wait until an instance has recorded a number of events, whether or not its code could run."""

        async def is_recorded() -> bool:
            told = [event for _, event in (await self.history(run)).events()]
            return sum(isinstance(event, EventRaised) for event in told) >= count

        await self.until(is_recorded)

    async def stalled(self, run: Run[Any]) -> str:
        """Wait until an instance cannot run, and tell why."""

        async def is_stalled() -> bool:
            return bool((await run.summary()).stalled)

        await self.until(is_stalled)
        return (await run.summary()).stalled

    async def has_status(self, id: str, status: str) -> None:
        """Wait until an instance has a status."""

        async def is_there() -> bool:
            return any(each.key == id and each.status == status for each in await self._listed(prefix=id))

        await self.until(is_there)


def turns_of(history: History) -> list[TurnRecord]:
    """Pick the records of turns that ran code."""
    return [record for record in history.records if record.was_run]
