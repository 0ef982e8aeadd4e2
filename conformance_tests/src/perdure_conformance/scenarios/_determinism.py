"""What an orchestration may ask its surroundings: the answers are the same on every replay."""

from __future__ import annotations

import asyncio
import logging
import uuid  # noqa: TC003 - Perdure reads the annotations that name it
from typing import TYPE_CHECKING, Any

import pytest

from perdure import NotInOrchestration, activity, activity_info, current, logger, now, orchestration, rng, uuid4
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, number
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["DeterminismScenarios"]

STAGES = 4
"""Turns over which a story asks its questions."""


@activity
async def note(answer: Any) -> Any:
    """Take an answer into the history, and give it back: what a replay asks again must be the same."""
    return answer


@orchestration
async def asking_the_time() -> list[float]:
    seen: list[float] = []
    noted: list[float] = []
    for _ in range(STAGES):
        seen += [now().timestamp(), now().timestamp()]
        noted.append(await note(seen[-1]))
    assert seen[1::2] == noted
    return seen


@orchestration
async def asking_the_loop() -> list[float]:
    seen: list[float] = []
    for _ in range(STAGES):
        seen.append(asyncio.get_running_loop().time())
        await double(1)
    return seen


@orchestration
async def asking_for_ids() -> list[uuid.UUID]:
    seen: list[uuid.UUID] = []
    noted: list[str] = []
    for _ in range(STAGES):
        seen += [uuid4(), uuid4()]
        noted.append(await note(str(seen[-1])))
    assert [str(each) for each in seen[1::2]] == noted
    return seen


@orchestration
async def asking_for_numbers() -> list[float]:
    seen: list[float] = []
    noted: list[float] = []
    for _ in range(STAGES):
        seen += [rng().random(), float(rng().randrange(100))]
        noted.append(await note(seen[-2]))
    assert seen[::2] == noted
    return seen


@orchestration
async def branching_by_lot() -> int:
    total = 0
    for _ in range(8):
        total += await (double(1) if rng().random() < 0.5 else double(100))
    return total


@orchestration(version="3")
async def asking_who_it_is() -> dict[str, Any]:
    await double(1)
    place = current()
    return {
        "name": place.name,
        "instance_id": place.instance_id,
        "execution": place.execution,
        "version": place.version,
        "tags": dict(place.tags),
    }


@activity
async def who_calls() -> list[str]:
    return [current().instance_id, current().name, activity_info().instance_id, activity_info().name]


@activity
def who_calls_in_a_thread() -> list[str]:
    return [current().instance_id, current().name, activity_info().instance_id, activity_info().name]


@orchestration
async def asking_who_calls() -> list[list[str]]:
    return [await who_calls(), await who_calls_in_a_thread()]


@orchestration
async def logging_each_stage() -> None:
    for stage in range(STAGES):
        logger.info("stage %d", stage)
        await double(stage)


@orchestration
async def over_a_set() -> list[int]:
    waits = {asyncio.create_task(double(each)) for each in range(12)}
    order = [await task for task in waits]
    for each in order:
        await double(each)
    return order


@orchestration
async def halves() -> list[str]:
    """Ask on both sides of a wait."""
    before = [str(uuid4()), str(rng().random())]
    await number()
    return [*before, str(uuid4()), str(rng().random())]


class Seen(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one record."""
        self.records.append(record)


either_way = pytest.mark.parametrize("cache_instances", [100, 0], ids=["live", "replayed"])


class DeterminismScenarios(Scenarios):
    @either_way
    async def test_time_stands_still_in_a_turn_and_never_goes_back(self, scene: Scene, cache_instances: int) -> None:
        await scene.worker(asking_the_time, note, cache_instances=cache_instances)
        began = scene.clock.now()

        run = await scene.start(asking_the_time())
        seen = await scene.result(run)

        assert seen[::2] == seen[1::2]
        assert seen == sorted(seen)
        assert began - 1e-5 <= seen[0] <= seen[-1] <= scene.clock.now() + 1e-5
        recorded = [turn.turn.now for turn in turns_of(await scene.history(run)) if turn.turn is not None]
        assert seen[::2] == pytest.approx(recorded[:STAGES], abs=1e-5)

    @either_way
    async def test_the_loops_time_is_that_of_the_turn_as_well(self, scene: Scene, cache_instances: int) -> None:
        await scene.worker(asking_the_loop, double, cache_instances=cache_instances)

        seen = await scene.outcome(asking_the_loop())

        assert seen == sorted(seen)

    @either_way
    async def test_ids_are_unique_in_an_instance_and_between_instances(
        self, scene: Scene, cache_instances: int
    ) -> None:
        await scene.worker(asking_for_ids, note, cache_instances=cache_instances)

        seen = [await scene.outcome(asking_for_ids()) for _ in range(3)]

        assert len({each for ids in seen for each in ids}) == 3 * 2 * STAGES
        assert all(each.version == 4 for ids in seen for each in ids)

    @either_way
    async def test_random_numbers_are_recorded_and_differ_between_instances(
        self, scene: Scene, cache_instances: int
    ) -> None:
        await scene.worker(asking_for_numbers, note, cache_instances=cache_instances)

        one, two = [await scene.outcome(asking_for_numbers()) for _ in range(2)]

        assert one != two
        assert len(set(one[::2])) == STAGES

    @either_way
    async def test_code_may_branch_by_lot(self, scene: Scene, cache_instances: int) -> None:
        await scene.worker(branching_by_lot, double, cache_instances=cache_instances)

        assert await scene.outcome(branching_by_lot()) % 2 == 0

    @either_way
    async def test_an_orchestration_knows_who_it_is(self, scene: Scene, cache_instances: int) -> None:
        await scene.worker(asking_who_it_is, double, cache_instances=cache_instances)

        told = await scene.outcome(asking_who_it_is(), id="me", tags={"team": "a"})

        name, tags = "asking_who_it_is", {"team": "a"}
        assert told == {"name": name, "instance_id": "me", "execution": 0, "version": "3", "tags": tags}

    @either_way
    async def test_a_line_of_the_log_is_written_once(self, scene: Scene, cache_instances: int) -> None:
        """What a replay repeats was said when it first happened."""
        seen, log = Seen(), logging.getLogger("perdure.app")
        level = log.level
        log.addHandler(seen)
        log.setLevel(logging.INFO)
        try:
            await scene.worker(logging_each_stage, double, cache_instances=cache_instances, replay_check="never")
            await scene.outcome(logging_each_stage(), id="me")
        finally:
            log.removeHandler(seen)
            log.setLevel(level)

        assert [record.getMessage() for record in seen.records] == [f"stage {each}" for each in range(STAGES)]
        assert {record.__dict__["instance_id"] for record in seen.records} == {"me"}

    @either_way
    async def test_a_set_of_tasks_has_one_order(self, scene: Scene, cache_instances: int) -> None:
        await scene.worker(over_a_set, double, cache_instances=cache_instances)

        order = await scene.outcome(over_a_set())

        assert sorted(order) == [2 * each for each in range(12)]

    async def test_an_activity_knows_for_whom_it_works(self, scene: Scene) -> None:
        await scene.worker(asking_who_calls, who_calls, who_calls_in_a_thread)

        told = await scene.outcome(asking_who_calls(), id="me")

        names = ["who_calls", "who_calls_in_a_thread"]
        assert told == [["me", name, "me", name] for name in names]

    async def test_the_answers_stay_the_same_when_another_worker_goes_on(self, scene: Scene) -> None:
        """The second worker replays what the first one has asked, and asks on."""
        told: list[list[str]] = []
        for change in (False, True):
            first = await scene.worker(halves)
            run = await scene.start(halves())
            await scene.turned(run)
            if change:
                await scene.stop(first)
                await scene.worker(halves)
            await scene.send(run, number, 1)
            told.append(await scene.result(run))

        assert all(len(set(answers)) == 4 for answers in told)
        assert not set(told[0]) & set(told[1])

    async def test_outside_they_are_the_real_ones(self, scene: Scene) -> None:
        del scene
        assert uuid4() != uuid4()
        assert 0 <= rng().random() < 1
        assert now().tzinfo is not None
        with pytest.raises(NotInOrchestration):
            current()
