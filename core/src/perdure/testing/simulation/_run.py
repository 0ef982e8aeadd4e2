"""Simulation: one scenario, any seed."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from contextlib import contextmanager, suppress
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.authoring import Registry
from perdure.client import Client
from perdure.engine import tasks_queue, turns_queue
from perdure.errors import Corrupt, NotFound, OrchestrationError
from perdure.records import CLOSED
from perdure.spi import DeadLetters, Query, WorkerId
from perdure.testing._oracles import Finding
from perdure.testing._verify import Expected, verify
from perdure.testing.simulation._chance import Chance
from perdure.testing.simulation._faults import FaultPlan
from perdure.testing.simulation._loop import SimulationLoop, Stuck, TooBusy, refuse_inside_of_a_loop
from perdure.testing.simulation._scenario import Outcome
from perdure.testing.simulation._trace import Trace
from perdure.testing.simulation._world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from perdure.spi import QueueName, Summary
    from perdure.testing.simulation._faults import Fault
    from perdure.testing.simulation._scenario import Scenario

__all__ = ["Simulation"]

BASELINE_SEED = -1
LOOK_FIRST_SECONDS = 0.5
LOOK_MAX_SECONDS = 7_200.0
RECOVERY_SECONDS = 3_600.0
"""After the last fault; longer than every lease, delay and back-off. Who has not gone on by then will not."""
QUIET_SECONDS = 200.0
STOP_SECONDS = 600.0
IDLE_SECONDS = 5.0
CLOSING_ROUNDS = 20


class Simulation:
    """Runs one scenario under the faults of any seed, and judges each run.

    Args:
        scenario: What to run.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._baseline: Outcome | None = None

    @property
    def baseline(self) -> Outcome:
        """The run without faults, which others are compared with; run at the first use."""
        if self._baseline is None:
            self._baseline = _OneRun(self.scenario, None, None).outcome()
        return self._baseline

    def run(self, seed: int, *, only: frozenset[str] | None = None) -> Outcome:
        """Run one seed.

        Args:
            seed: 0 or more; draws the order of everything, the settings of workers, and the faults.
            only: Ids of the faults that may happen; None allows all.

        Returns:
            What happened; nothing is raised for what is found.

        Raises:
            Misuse: An event loop runs in this thread.
        """
        outcome = _OneRun(self.scenario, seed, only).outcome()
        return msgspec.structs.replace(outcome, findings=(*outcome.findings, *self._compared(outcome)))

    def _compared(self, outcome: Outcome) -> list[Finding]:
        if self.scenario.is_any_result:
            return []
        expected = self.baseline.results
        return [
            Finding("result", instance, f"{result}, without faults {expected[instance]}")
            for instance, result in sorted(outcome.results.items())
            if expected.get(instance, result) != result
        ]

    def repeats(self, outcome: Outcome) -> list[Finding]:
        """Run a seed once more, and look for the first difference: something depends on the real world.

        Args:
            outcome: A run of all faults of its seed, or the baseline.

        Returns:
            Nothing, or one finding.
        """
        again = _OneRun(self.scenario, outcome.seed, None).outcome()
        if again.trace_hash == outcome.trace_hash:
            return []
        pairs = zip_longest(outcome.trace, again.trace, fillvalue="nothing more")
        differing = (f"{one!r:.300}, then {other!r:.300}" for one, other in pairs if one != other)
        return [Finding("repeats", "", next(differing, "the order of steps differs"))]

    def shrink(self, failed: Outcome, *, runs_max: int = 60) -> Outcome:
        """Leave out faults, as long as something of the same kind is still found.

        Args:
            failed: A run with findings.
            runs_max: Most runs to spend on it.

        Returns:
            The run with the fewest faults that was seen to fail; `failed` itself if none is smaller.
        """
        codes = {finding.code for finding in failed.findings}

        def fails(kept: tuple[Fault, ...]) -> Outcome | None:
            assert failed.seed is not None
            again = self.run(failed.seed, only=frozenset([fault.id for fault in kept]))
            return again if codes & {finding.code for finding in again.findings} else None

        return _shrunk(failed, fails, runs_max)


def _shrunk(failed: Outcome, fails: Callable[[tuple[Fault, ...]], Outcome | None], runs_left: int) -> Outcome:
    """Leave out all, then halves, quarters … and at last single faults: what is needed stays (delta debugging)."""
    smallest, size, begin = failed, len(failed.faults), 0
    while size and runs_left:
        kept = smallest.faults[:begin] + smallest.faults[begin + size :]
        again = fails(kept)
        runs_left -= 1
        if again is not None and len(again.faults) < len(smallest.faults):
            smallest = again
        else:
            begin += size
        if begin >= len(smallest.faults):
            size, begin = min(size, len(smallest.faults) + 1) // 2, 0
    return smallest


class _OneRun:
    """One seed."""

    def __init__(self, scenario: Scenario, seed: int | None, only: frozenset[str] | None) -> None:
        self._scenario = scenario
        self._seed = seed
        chance = Chance(BASELINE_SEED if seed is None else seed)
        self._trace = Trace()
        self._loop = SimulationLoop(chance, self._trace.count)
        self._faults = FaultPlan(None if seed is None else chance, self._loop.time, only)
        self._world = World(self._loop, scenario, chance, self._faults, self._trace)
        self._findings: list[Finding] = []
        self._results: dict[str, str] = {}
        self._instances = [f"sim-{number}" for number in range(scenario.instances)]

    def outcome(self) -> Outcome:
        """Run it to its end and judge it."""
        refuse_inside_of_a_loop()
        with _undisturbed(self._seed or 0):
            try:
                self._loop.run_until_complete(self._main())
            except (Stuck, TooBusy) as problem:
                self._find("stuck", str(problem))
            for code, text in self._world.problems:
                self._find(code, text)
            for text in self._loop.unhandled:
                self._find("unhandled", text)
            outcome = self._told()
            self._close()
        return outcome

    def _told(self) -> Outcome:
        return Outcome(
            seed=self._seed,
            trace_hash=self._trace.digest(),
            findings=tuple(self._findings),
            faults=tuple(self._faults.happened),
            results=self._results,
            trace=tuple(self._trace.lines),
            virtual_seconds=self._loop.time(),
            steps=self._loop.step_count,
            deaths=self._world.deaths,
        )

    def _find(self, code: str, text: str, instance: str = "") -> None:
        self._findings.append(Finding(code, instance, text))

    # ---- the story of a run --------------------------------------------------------------------------------------

    async def _main(self) -> None:
        world = self._world
        await world.open()
        keepers = [self._loop.create_task(world.keep_worker(f"w{n + 1}")) for n in range(self._scenario.workers)]
        clients = [self._loop.create_task(world.insist(instance)) for instance in self._instances]
        await self._wait_until_closed(clients, self._faults.until_seconds)
        self._faults.is_over = True
        world.heal()
        world.note("faults are over")
        await self._recover(keepers, clients)
        for keeper in keepers:
            keeper.cancel()
        self._judge_clients(clients)
        await world.stop_all(STOP_SECONDS)
        await self._judge()

    async def _wait_until_closed(self, clients: list[asyncio.Task[None]], until: float) -> bool:
        """Look again and again whether all is done, less often as time goes by."""
        pause = LOOK_FIRST_SECONDS
        while not await self._is_all_closed(clients):
            if self._loop.time() >= until:
                return False
            await asyncio.sleep(min(pause, max(LOOK_FIRST_SECONDS, until - self._loop.time())))
            pause = min(pause * 1.5, LOOK_MAX_SECONDS)
        return True

    async def _is_all_closed(self, clients: list[asyncio.Task[None]]) -> bool:
        return all(client.done() for client in clients) and not await self._open()

    async def _open(self) -> list[Summary]:
        found = [summary async for summary in self._world.home.store.scan(Query())]
        return [summary for summary in found if summary.status not in CLOSED]

    async def _recover(self, keepers: list[asyncio.Task[None]], clients: list[asyncio.Task[None]]) -> None:
        """Give the hub time to recover, and find what does not."""
        is_closed = await self._wait_until_closed(clients, self._loop.time() + RECOVERY_SECONDS)
        if not is_closed:
            await self._look_for_idleness()
            if any(not summary.stalled for summary in await self._open()):  # what is stalled is tried for ever
                await self._finish_with_one_worker(keepers, clients)
            for summary in await self._open():
                reason = f", stalled: {summary.stalled}" if summary.stalled else ""
                self._find("unfinished", f"it is {summary.status} long after the last fault{reason}", summary.key)

    async def _look_for_idleness(self) -> None:
        """Find messages that wait for workers which all are well: seen twice, so not only just due."""
        before = [await self._visible(queue) for queue in self._queues()]
        await asyncio.sleep(IDLE_SECONDS)
        for queue, seen in zip(self._queues(), before, strict=True):
            waiting = seen & await self._visible(queue)
            if waiting:
                self._find("idle", f"{len(waiting)} messages of {queue} wait, and no worker takes them")

    async def _visible(self, queue: QueueName) -> set[str]:
        home = self._world.home.queue
        waiting = await home.receive(queue, limit=100, lease_seconds=1, wait_seconds=0, worker=WorkerId("look"))
        await home.abandon(waiting)
        return {delivery.envelope.message_id for delivery in waiting}

    def _queues(self) -> list[QueueName]:
        return [*map(turns_queue, self._scenario.turns), *map(tasks_queue, self._scenario.tasks)]

    async def _finish_with_one_worker(
        self, keepers: list[asyncio.Task[None]], clients: list[asyncio.Task[None]]
    ) -> None:
        """Let months pass for what has timers that long; one patient worker costs few steps."""
        for keeper in keepers:
            keeper.cancel()
        self._world.kill_all()
        await self._world.worker("healer", is_patient=True)
        await self._wait_until_closed(clients, self._loop.time() + self._scenario.finish_seconds)

    # ---- judging -------------------------------------------------------------------------------------------------

    def _judge_clients(self, clients: list[asyncio.Task[None]]) -> None:
        for instance, client in zip(self._instances, clients, strict=True):
            if not client.done():
                client.cancel()
                self._find("client", "its start or an event never returned", instance)
            elif client.exception() is not None:
                self._find("client", f"{type(client.exception()).__name__}: {client.exception()}", instance)

    async def _judge(self) -> None:
        world, client = self._world, Client(self._world.home)
        expected = Expected(started=tuple(world.started), sent=tuple(world.sent), effects=tuple(world.effects))
        registry = Registry(self._scenario.code)
        report = await verify(
            client, registry, expected=expected, is_exact=True, is_quiet=True, quiet_wait_seconds=QUIET_SECONDS
        )
        self._findings += report.findings
        await self._judge_dead_letters()
        for instance in sorted(world.started):
            self._results[instance] = await self._result(client, instance)

    async def _judge_dead_letters(self) -> None:
        queue = self._world.home.queue
        assert isinstance(queue, DeadLetters)  # that of memory is
        for name in self._queues():
            for letter in await queue.peek_dead_letters(name, limit=100):
                self._find("dead letter", f"{letter.envelope.message_id}: {letter.reason}", letter.envelope.group)

    async def _result(self, client: Client, instance: str) -> str:
        try:
            run = await client.get(instance)
            if (await run.summary()).status not in CLOSED:
                return "not finished"
            return msgspec.json.encode(await run.result(), enc_hook=str).decode()
        except OrchestrationError as error:
            return f"failed: {error.failure}"
        except (NotFound, Corrupt) as error:
            return f"{type(error).__name__}: {error}"

    # ---- afterwards ----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Break off all that is left, in dead processes too, so that nothing is left to garbage collection."""
        self._world.revive_all()
        self._loop.step_count = 0  # However long the run was: this is not part of it.
        for _ in range(CLOSING_ROUNDS):
            left = self._loop.live_tasks()
            if not left:
                break
            for task in left:
                task.cancel()
            self._run_a_while(left)
        self._loop.run_until_complete(self._world.close())
        self._loop.close()

    def _run_a_while(self, tasks: list[asyncio.Task[Any]]) -> None:
        async def wait() -> None:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

        with suppress(Stuck, TooBusy):  # found and told already; what does not end is left
            self._loop.run_until_complete(wait())


@contextmanager
def _undisturbed(seed: int) -> Generator[None]:
    """Keep garbage collection from running finalizers at moments that no seed draws, and workers from logging.

    Activities that ask the module `random` get the same from it for the same seed.
    """
    was_enabled = gc.isenabled()
    logger = logging.getLogger("perdure")
    before = logger.level
    drawn_before = random.getstate()
    random.seed(seed)
    gc.disable()
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
        random.setstate(drawn_before)
        if was_enabled:
            gc.enable()
