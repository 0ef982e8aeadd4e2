"""The same seed is the same run, and everything that the stories do ends well under all faults."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from perdure import Misuse, activity, orchestration
from perdure.authoring import collect
from perdure.testing.simulation import FINDINGS, Scenario, Simulation, stories, tell
from perdure.testing.simulation._chance import Chance
from perdure.testing.simulation._loop import SimulationLoop, Stuck

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from perdure.authoring import Orchestration
    from perdure.testing.simulation import Outcome

SEEDS_PER_STORY = 22
SEEDS_PER_STORY_SLOW = 43
LIMIT_SECONDS = 60

WHOLE_TRACE = """
from perdure.authoring import collect
from perdure.testing.simulation import Scenario, Simulation, stories

scenario = Scenario(orchestration=stories.family, definitions=tuple(collect(stories)))
for seed in range(4):
    outcome = Simulation(scenario).run(seed)
    print(outcome.trace_hash, outcome.steps, *outcome.faults, *outcome.trace, sep="\\n")
"""


def scenario_of(story: Orchestration[..., object], instances: int = 2) -> Scenario:
    return Scenario(
        orchestration=story, definitions=tuple(collect(stories)), events=stories.EVENTS, instances=instances
    )


def told(outcome: Outcome) -> str:
    return tell(outcome, outcome)


def whole_trace(hash_seed: str) -> str:
    """Run some seeds in another process."""
    done = subprocess.run(
        [sys.executable, "-c", WHOLE_TRACE],
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    )
    return done.stdout


# ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(main: Coroutine[object, object, object], seed: int = 0) -> tuple[object, float]:
    """Run a coroutine on a loop of its own, and tell the time at its end."""
    loop = SimulationLoop(Chance(seed), lambda _: None)
    result = loop.run_until_complete(main)
    loop.close()
    return result, loop.time()


async def order_of_ten() -> list[int]:
    order: list[int] = []

    async def append(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*(append(number) for number in range(10)))
    return order


def test_time_passes_at_once() -> None:
    _, seconds = run(asyncio.sleep(10_000_000))

    assert seconds == 10_000_000


def test_tasks_go_on_in_an_order_that_the_seed_draws() -> None:
    orders = [run(order_of_ten(), seed)[0] for seed in range(5)]

    assert orders == [run(order_of_ten(), seed)[0] for seed in range(5)]
    assert len({str(order) for order in orders}) == 5


def test_callbacks_keep_their_order_as_asyncio_promises() -> None:
    async def callbacks() -> list[int]:
        order: list[int] = []
        for number in range(10):
            asyncio.get_running_loop().call_soon(order.append, number)
        await asyncio.sleep(0)
        return order

    assert run(callbacks())[0] == list(range(10))


def test_a_wait_that_nothing_can_end_is_told_of_at_once() -> None:
    with pytest.raises(Stuck, match="no timer runs"):
        run(asyncio.Event().wait())


def test_the_outside_world_is_refused_with_the_mend() -> None:
    async def connect() -> None:
        await asyncio.open_connection("example.invalid", 80)

    with pytest.raises(Misuse, match="stand-in"):
        run(connect())


def test_threads_are_none_what_they_would_run_is_run_in_line() -> None:
    async def where() -> str:
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert run(where())[0] == threading.current_thread().name


async def test_inside_of_another_loop_it_is_refused() -> None:
    with pytest.raises(Misuse, match="plain function"):
        Simulation(scenario_of(stories.sleeping)).run(0)


# ── the same seed is the same run ────────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_gives_the_same_trace_in_one_process() -> None:
    simulation = Simulation(scenario_of(stories.everything))
    outcomes = [simulation.run(seed) for seed in (3, 4, 5)]

    assert [simulation.run(seed) for seed in (3, 4, 5)] == outcomes
    assert len({outcome.trace_hash for outcome in outcomes}) == 3
    assert simulation.repeats(outcomes[0]) == []


def test_the_same_seed_gives_the_same_trace_in_processes_with_other_hash_seeds() -> None:
    """Byte for byte: no set, no address and no name of a process may decide anything."""
    traces = {whole_trace(hash_seed) for hash_seed in ("0", "4711")}

    assert len(traces) == 1
    assert traces.pop().count("commit") > 10


def test_what_asks_the_real_world_does_not_repeat_and_is_told_of() -> None:
    asked: list[int] = []

    @activity
    async def ask() -> int:
        asked.append(0)
        return len(asked)

    @orchestration
    async def asking() -> int:
        return await ask()

    simulation = Simulation(Scenario(orchestration=asking, definitions=(ask,)))

    assert [finding.code for finding in simulation.repeats(simulation.baseline)] == ["repeats"]


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_faults_of_every_kind_happen() -> None:
    simulation = Simulation(scenario_of(stories.fan_out, 1))
    texts = " ".join(str(fault) for seed in range(40) for fault in simulation.run(seed).faults)

    kinds = ("refused before", "lost on the way", "answer lost", "done later", "done twice", "slow", "the hub is away",
             "it dies", "it stands still", "clock is off", "told to stop")  # fmt: skip
    assert [kind for kind in kinds if kind not in texts] == []


def test_a_fault_that_is_left_out_does_not_happen_and_the_others_do() -> None:
    simulation = Simulation(scenario_of(stories.fan_out))
    whole = next(outcome for outcome in map(simulation.run, range(50)) if len(outcome.faults) > 5)

    none = simulation.run(whole.seed or 0, only=frozenset())
    first = simulation.run(whole.seed or 0, only=frozenset([whole.faults[0].id]))

    assert none.faults == ()
    assert first.faults == whole.faults[:1]


def test_a_plain_function_runs_in_the_one_thread() -> None:
    threads: set[str] = set()

    @activity
    def where() -> int:
        threads.add(threading.current_thread().name)
        return 1

    @orchestration
    async def asking() -> int:
        return await where()

    assert Simulation(Scenario(orchestration=asking, definitions=(where,))).run(1).ok
    assert threads == {threading.current_thread().name}


def test_months_pass_in_virtual_time() -> None:
    @orchestration
    async def patient() -> str:
        await asyncio.sleep(20 * 86_400)
        return "done"

    outcome = Simulation(Scenario(orchestration=patient)).run(2)

    assert outcome.ok, told(outcome)
    assert outcome.virtual_seconds > 20 * 86_400


def test_nothing_is_left_to_garbage_collection() -> None:
    """Dead processes are broken off in the end: their `finally` blocks must not run at any later moment."""
    before = threading.active_count()
    outcome = Simulation(scenario_of(stories.everything)).run(5)
    gc.collect()

    assert outcome.deaths > 0
    assert threading.active_count() <= before + 10


def test_every_code_of_a_finding_is_explained() -> None:
    assert all(text and not text.endswith(".") for text in FINDINGS.values())


# ── the stories ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("story", stories.STORIES, ids=lambda story: story.name)
def test_every_story_ends_as_without_faults_whatever_happens(story: Orchestration[..., object]) -> None:
    _search(story, range(SEEDS_PER_STORY))


@pytest.mark.slow
@pytest.mark.parametrize("story", stories.STORIES, ids=lambda story: story.name)
def test_every_story_ends_as_without_faults_whatever_happens_longer(story: Orchestration[..., object]) -> None:
    _search(story, range(SEEDS_PER_STORY, SEEDS_PER_STORY + SEEDS_PER_STORY_SLOW))


def _search(story: Orchestration[..., object], seeds: range) -> None:
    simulation = Simulation(scenario_of(story))
    assert simulation.baseline.ok, told(simulation.baseline)
    deaths = 0
    for seed in seeds:
        outcome = simulation.run(seed)
        deaths += outcome.deaths
        assert outcome.ok, tell(outcome, simulation.shrink(outcome, runs_max=20))
    assert deaths > len(seeds) / 4
