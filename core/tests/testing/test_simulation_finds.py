"""What is broken on purpose is found, within fifty seeds."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec

from perdure import Event, activity, orchestration
from perdure.authoring import collect
from perdure.memory import MemoryQueue, MemoryStore
from perdure.spi import Head
from perdure.testing.simulation import Scenario, Simulation, stories, tell

if TYPE_CHECKING:
    from perdure.spi import Append, Committed, Conflict, Delivery
    from perdure.testing.simulation import Outcome

SEEDS = range(50)


@activity
async def work(name: str) -> str:
    await asyncio.sleep(2)
    return name


@activity
async def rest(name: str) -> str:
    return name


def first_failure(simulation: Simulation) -> Outcome:
    return next(outcome for outcome in map(simulation.run, SEEDS) if outcome.findings)


def codes(outcome: Outcome) -> set[str]:
    return {finding.code for finding in outcome.findings}


@orchestration
async def chain() -> list[str]:
    return [await work("a"), await work("b"), *await asyncio.gather(work("c"), work("d"))]


CODE = (work, rest, chain)


class OverwritingStore(MemoryStore):
    """A store that appends whatever version the writer had read."""

    async def append(self, append: Append) -> Committed | Conflict:
        head = await self.read(append.key)
        if isinstance(head, Head) and not append.create:
            append = msgspec.structs.replace(append, expected=head.version, version=head.version + 1)
        return await super().append(append)


def test_a_store_that_ignores_the_version_is_found() -> None:
    failed = first_failure(Simulation(Scenario(orchestration=chain, definitions=CODE, store_type=OverwritingStore)))

    assert codes(failed) & {"H2", "H5", "S4", "S3b", "S6", "R4"}, tell(failed, failed)


class EarlyCompletingQueue(MemoryQueue):
    """A queue that deletes what it gives: a crash of the receiver loses it."""

    async def receive(self, *args: object, **kwargs: object) -> list[Delivery]:  # type: ignore[override]
        found: list[Delivery] = await super().receive(*args, **kwargs)  # type: ignore[arg-type]
        await self.complete(found)
        return found


def test_a_queue_that_delivers_at_most_once_is_found() -> None:
    simulation = Simulation(Scenario(orchestration=chain, definitions=CODE, queue_type=EarlyCompletingQueue))

    failed = first_failure(simulation)

    assert "unfinished" in codes(failed), tell(failed, failed)


def test_code_that_draws_at_random_unrecorded_is_found() -> None:
    @orchestration
    async def gambling() -> str:
        return await (work if random.random() < 0.5 else rest)("a") + await work("b")

    failed = first_failure(Simulation(Scenario(orchestration=gambling, definitions=CODE, is_any_result=True)))

    assert codes(failed) & {"replay", "stalled", "unfinished"}, tell(failed, failed)


def test_an_activity_that_counts_its_attempts_is_found_by_its_result() -> None:
    """At least once is what is promised: an effect that is not idempotent shows."""
    done: dict[str, int] = {}

    @activity
    async def count(name: str) -> int:
        done[name] = done.get(name, 0) + 1
        await asyncio.sleep(5)
        return done[name]

    def run(seed: int) -> Outcome:
        done.clear()
        return simulation.run(seed)

    @orchestration
    async def counted() -> int:
        return await count("same")

    simulation = Simulation(Scenario(orchestration=counted, definitions=(count,), instances=1))
    assert simulation.baseline.results == {"sim-0": "1"}
    failed = next(outcome for outcome in map(run, SEEDS) if outcome.findings)

    assert codes(failed) == {"result"}
    assert "without faults 1" in failed.findings[0].text


def test_code_that_waits_for_ever_is_found_without_any_fault() -> None:
    @orchestration
    async def hanging() -> None:
        await asyncio.Event().wait()

    baseline = Simulation(Scenario(orchestration=hanging, instances=1)).baseline

    assert codes(baseline) == {"unfinished", "stalled"}, tell(baseline, baseline)


def test_code_whose_event_nobody_sends_is_found() -> None:
    @orchestration
    async def waiting() -> int:
        return await Event[int]("never")()

    baseline = Simulation(Scenario(orchestration=waiting, instances=1)).baseline

    assert codes(baseline) == {"unfinished"}, tell(baseline, baseline)


def test_a_failure_is_told_with_its_seed_the_faults_that_are_needed_and_a_trace() -> None:
    simulation = Simulation(
        Scenario(
            orchestration=stories.fan_out,
            definitions=tuple(collect(stories)),
            queue_type=EarlyCompletingQueue,
            finish_seconds=3_600,
        )
    )
    failed = next(outcome for outcome in map(simulation.run, SEEDS) if outcome.findings and len(outcome.faults) > 3)

    smallest = simulation.shrink(failed, runs_max=12)

    assert smallest.findings
    assert 0 < len(smallest.faults) < len(failed.faults)
    text = tell(failed, smallest)
    assert f"seed {failed.seed}: " in text
    assert all(str(fault) in text for fault in failed.faults)
    assert "trace:" in text
    assert simulation.run(failed.seed or 0) == failed
