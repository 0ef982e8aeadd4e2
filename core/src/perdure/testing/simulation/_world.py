"""The processes of one run around one hub: workers that die and are started again, and clients that insist."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perdure.client import Client
from perdure.config import WorkerSettings
from perdure.errors import Closed, Unavailable, Unknown
from perdure.hub import OpenHub
from perdure.memory import MemoryCommitter
from perdure.spi import Environment, Location, OutboxCommitter, SystemClock
from perdure.testing.simulation._activities import in_line
from perdure.testing.simulation._chance import NamedEntropy
from perdure.testing.simulation._life import Life, context_of
from perdure.testing.simulation._providers import FarCommitter, FarQueue, FarStore, Line
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from perdure.spi import Committer, HistoryStore, WorkQueue
    from perdure.testing import Effect
    from perdure.testing.simulation._chance import Chance
    from perdure.testing.simulation._faults import FaultPlan, ProcessFaults
    from perdure.testing.simulation._loop import SimulationLoop
    from perdure.testing.simulation._scenario import Scenario
    from perdure.testing.simulation._trace import Trace

__all__ = ["Process", "World"]

_numbers = itertools.count()

START = 1_700_000_000.0
RESTART_SECONDS_MAX = 20.0
EVENT_SECONDS_MAX = 60.0
INSIST_SECONDS = 1.0
LEASE_SECONDS = (5.0, 30.0, 120.0)
PATIENT_LEASE_SECONDS = 43_200.0


class SimulatedClock(SystemClock):
    """A machine's clock in virtual time.

    Args:
        loop: Time itself.
        off_seconds: How far its wall clock is off.

    Attributes:
        off_seconds: The same; it may be set right.
    """

    def __init__(self, loop: SimulationLoop, *, off_seconds: float = 0.0) -> None:
        self.off_seconds = off_seconds
        self._loop = loop

    def now(self) -> float:
        """Return wall time in seconds since the epoch."""
        return START + self.off_seconds + self._loop.time()

    def monotonic(self) -> float:
        """Return seconds since the simulation began."""
        return self._loop.time()


@dataclass(eq=False, slots=True)
class Process:
    """One process: its connection, and what runs in it."""

    life: Life
    clock: SimulatedClock
    hub: OpenHub
    line: Line
    is_gone: asyncio.Event
    stops_after_seconds: float = 0.0
    worker: Worker | None = None
    running: asyncio.Task[None] | None = None


class World:
    """Everything around one hub.

    Args:
        loop: What it runs on.
        scenario: What runs.
        chance: Draws what is not a fault.
        faults: Draws what is.
        trace: Gets a line for all that happens.

    Attributes:
        home: A connection without faults, outside of all processes.
        effects: What activities did.
        started: Ids of the instances whose start returned.
        sent: Instance and event id of each event whose sending returned.
        problems: What must not be, as code and text.
        deaths: How many processes died.
    """

    def __init__(
        self, loop: SimulationLoop, scenario: Scenario, chance: Chance, faults: FaultPlan, trace: Trace
    ) -> None:
        self.effects: list[Effect] = []
        self.started: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.problems: list[tuple[str, str]] = []
        self.deaths = 0
        self._loop = loop
        self._scenario = scenario
        self._chance = chance
        self._faults = faults
        self._trace = trace
        self._definitions = in_line(scenario.code, self.effects)
        self._true_clock = SimulatedClock(loop)
        self._location = Location(url="memory:", scheme="memory", path=f"simulation-{next(_numbers)}", options={})
        self._is_atomic = chance.share("atomic") < 1 / 2
        self._alive: dict[str, Process] = {}
        self._lives: list[Life] = []
        self._connections: list[tuple[Any, Any]] = []
        self._between = Life("between")

    async def open(self) -> None:
        """Open the connection that outlives all others."""
        store, queue = await self._connect(Environment(self._true_clock, NamedEntropy(self._chance, "home")))
        environment = Environment(self._true_clock, NamedEntropy(self._chance, "home"))
        self.home = OpenHub(store, queue, MemoryCommitter(store, queue), environment, name="simulation")

    async def _connect(self, environment: Environment) -> tuple[Any, Any]:
        store = self._scenario.store_type(self._location, environment)
        queue = self._scenario.queue_type(self._location, environment)
        await store.open()
        await queue.open()
        self._connections.append((store, queue))
        return store, queue

    def note(self, text: str) -> None:
        """Note something with its time."""
        self._trace.note(f"{self._loop.time():.6f} {text}")

    # ---- processes -----------------------------------------------------------------------------------------------

    async def process(self, name: str, *, deaths: int = 0, instance: str = "") -> Process:
        """Begin a process.

        Args:
            name: Its name.
            deaths: How many died before it in its place.
            instance: What it starts, if it is a client.
        """
        faults = self._faults.of_process(name, deaths)
        clock = SimulatedClock(self._loop, off_seconds=faults.skew_seconds)
        environment = Environment(clock, NamedEntropy(self._chance, name, instance))
        line = Line(name, self._faults, self._trace, self._begin_outside)
        store, queue = await self._connect(environment)
        hub = OpenHub(*self._far(store, queue, line, environment), environment, name="simulation")
        process = Process(self._life(name, faults), clock, hub, line, asyncio.Event(), faults.stops_after_seconds)
        process.life.on_death = lambda: self._die(process)
        self._lives.append(process.life)
        self._alive[name] = process
        self.note(f"{name} begins")
        return process

    def _far(
        self, store: Any, queue: Any, line: Line, environment: Environment
    ) -> tuple[HistoryStore, WorkQueue, Committer]:
        far_store, far_queue = FarStore(store, line), FarQueue(queue, line)
        if self._is_atomic:
            return far_store, far_queue, FarCommitter(MemoryCommitter(store, queue), line)
        return far_store, far_queue, OutboxCommitter(far_store, far_queue, environment.clock)

    def _life(self, name: str, faults: ProcessFaults) -> Life:
        def pause() -> None:
            self._faults.happens(f"{name}:pause", f"it stands still for {faults.pause_seconds:g} s")
            self.note(f"{name} stands still for {faults.pause_seconds:g} s")

        return Life(name, faults.dies_at, faults.pauses_at, faults.pause_seconds, on_pause=pause)

    def _die(self, process: Process) -> None:
        name = process.life.name
        if process.life.steps == process.life.dies_at:
            self._faults.happens(f"{name}:death", f"it dies at step {process.life.dies_at}")
        self.note(f"{name} dies")
        self.deaths += 1
        self._alive.pop(name, None)
        process.is_gone.set()

    def _begin_outside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._loop.create_task(coroutine, context=context_of(self._between))  # the loop owns its tasks

    async def close(self) -> None:
        """Close every connection, those of the dead too."""
        for store, queue in self._connections:
            await queue.aclose()
            await store.aclose()

    def revive_all(self) -> None:
        """Let the dead go on, so that they can be broken off."""
        for life in self._lives:
            life.is_over = life.is_paused = False
            life.dies_at = life.pauses_at = 0
            self._loop.release(life)

    # ---- workers -------------------------------------------------------------------------------------------------

    async def keep_worker(self, name: str) -> None:
        """Keep a worker alive for ever, as a supervisor does."""
        deaths = 0
        while True:
            process = await self.worker(f"{name}.{deaths + 1}", deaths)
            await self._stop_sometime(process)
            await process.is_gone.wait()
            deaths += 1
            if not self._faults.is_over:
                await asyncio.sleep(self._chance.between(f"{process.life.name} restart", 0, RESTART_SECONDS_MAX))

    async def _stop_sometime(self, process: Process) -> None:
        """Tell a worker to stop, as a deployment does, if the seed has it."""
        name, seconds = process.life.name, process.stops_after_seconds
        if not seconds or process.worker is None:
            return
        await self._true_clock.wait(process.is_gone, seconds)
        is_there = not process.is_gone.is_set() and not self._faults.is_over
        if is_there and self._faults.happens(f"{name}:stop", "it is told to stop"):
            self.note(f"{name} is told to stop")
            stopping = process.worker.stop(drain_seconds=self._chance.pick(f"{name} drain", (0.0, 3.0)))
            self._loop.create_task(stopping, context=context_of(process.life))

    async def worker(self, name: str, deaths: int = 0, *, is_patient: bool = False) -> Process:
        """Begin a process with a worker in it; a patient one does little while it has nothing to do."""
        process = await self.process(name, deaths=deaths)
        process.line.is_patient = is_patient
        lease_seconds = PATIENT_LEASE_SECONDS if is_patient else self._chance.pick(f"{name} lease", LEASE_SECONDS)
        process.worker = Worker(process.hub, self._definitions, self._settings(name, lease_seconds))
        process.running = self._loop.create_task(process.worker.run(), context=context_of(process.life))
        process.running.add_done_callback(lambda running: self._note_end(process, running))
        return process

    def _settings(self, name: str, lease_seconds: float) -> WorkerSettings:
        pick = self._chance.pick
        return WorkerSettings(
            turns=self._scenario.turns,
            tasks=self._scenario.tasks,
            cache_instances=pick(f"{name} cache", (0, 1, 100)),
            activities_max=pick(f"{name} activities", (1, 3, 64)),
            turns_max=pick(f"{name} turns", (1, 4, 256)),
            lease_seconds=lease_seconds,
            replay_check=pick(f"{name} check", ("never", "always")),
        )

    def _note_end(self, process: Process, running: asyncio.Task[None]) -> None:
        self._alive.pop(process.life.name, None)
        error = None if running.cancelled() else running.exception()
        if error is not None:
            self.problems.append(("worker", f"{process.life.name} failed: {type(error).__name__}: {error}"))
        process.is_gone.set()

    def heal(self) -> None:
        """Let nothing more happen to those that live, and set their clocks right."""
        for process in self._alive.values():
            process.clock.off_seconds = 0.0
            process.life.dies_at = process.life.pauses_at = 0

    def kill_all(self) -> None:
        """Let every process die."""
        for process in list(self._alive.values()):
            process.life.die()

    async def stop_all(self, within_seconds: float) -> None:
        """Stop every worker in good order."""
        for process in list(self._alive.values()):
            if process.worker is None:
                continue
            self.note(f"{process.life.name} is told to stop")
            stopping = self._loop.create_task(process.worker.stop(drain_seconds=0), context=context_of(process.life))
            await asyncio.wait([stopping], timeout=within_seconds)
            if not stopping.done():
                self.problems.append(("stop", f"{process.life.name} has not stopped after {within_seconds:g} s"))

    # ---- clients -------------------------------------------------------------------------------------------------

    async def insist(self, instance: str) -> None:
        """Start an instance and send its events, again from the start by another process whenever one dies."""
        deaths = 0
        while True:
            process = await self.process(f"client-{instance}.{deaths + 1}", deaths=deaths, instance=instance)
            client = self._loop.create_task(self._start(process.hub, instance), context=context_of(process.life))
            gone = asyncio.ensure_future(process.is_gone.wait())
            await asyncio.wait([client, gone], return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if client.done():
                self._alive.pop(process.life.name, None)
                client.result()
                return
            deaths += 1

    async def _start(self, hub: OpenHub, instance: str) -> None:
        scenario, client = self._scenario, Client(hub)

        async def start() -> None:
            call = scenario.orchestration(*scenario.args, **scenario.kwargs)
            await client.start(call, id=instance, if_exists="return")

        await _insisting(start)
        if instance not in self.started:
            self.started.append(instance)
        for index, (name, value) in enumerate(scenario.events):
            await asyncio.sleep(EVENT_SECONDS_MAX * self._chance.share(f"{instance} event {index}") ** 2)
            await self._send(client, instance, f"{instance}-{index}", name, value)

    async def _send(self, client: Client, instance: str, event_id: str, name: str, value: object) -> None:
        try:
            await _insisting(lambda: client.send(instance, name, value, event_id=event_id))
        except Closed:
            return  # it has ended without it
        if (instance, event_id) not in self.sent:
            self.sent.append((instance, event_id))


async def _insisting(call: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            return await call()
        except (Unknown, Unavailable):
            await asyncio.sleep(INSIST_SECONDS)
