"""Workers: several in one hub, stopped in good order, with small caches; what they have in hand is never lost."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from perdure import activity, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, sleeping, summing
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["WorkerScenarios"]


@orchestration
async def stepping(count: int) -> int:
    value = 0
    for _ in range(count):
        value += await number()
    return value


@orchestration
async def of_all_kinds(seconds: float) -> list[Any]:
    """Wait for one of each kind, one after the other."""
    return [await double(1), await doubling(2), await asyncio.sleep(seconds, "slept"), await number()]


class Gated:
    """An activity that runs until its gate is opened, and how often it was begun and broken off."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.broken_off = 0

        @activity
        async def gated() -> str:
            self.begun += 1
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.broken_off += 1
                raise
            return "done"

        @orchestration
        async def asking() -> str:
            return await gated()

        self.definitions = (asking, gated)
        self.call = asking

    def has_begun(self, times: int) -> bool:
        """Tell whether it was begun so often."""
        return self.begun == times


class WorkerScenarios(Scenarios):
    @pytest.mark.parametrize("count", [1, 2, 4])
    async def test_any_number_of_workers_do_the_same_work(self, scene: Scene, count: int) -> None:
        for _ in range(count):
            await scene.worker(of_all_kinds, doubling, double)

        runs = [await scene.start(of_all_kinds(scene.moment / 20)) for _ in range(8)]
        for run in runs:
            await scene.send(run, number, 9)

        assert [await scene.result(run) for run in runs] == [[2, 4, "slept", 9]] * 8

    async def test_two_workers_on_one_instance_make_one_history(self, scene: Scene) -> None:
        """Whoever gets a message runs the turn; the other's live instance is out of date and must notice."""
        for _ in range(2):
            await scene.worker(stepping)
        run = await scene.start(stepping(12))
        await scene.turned(run)

        for value in range(12):
            await scene.send(run, number, value)
            await scene.turned(run, value + 2)

        assert await scene.result(run) == sum(range(12))

    async def test_an_instance_goes_from_worker_to_worker(self, scene: Scene) -> None:
        run = await scene.start(of_all_kinds(scene.moment / 10))
        for turns in (1, 2, 3, 4):
            process = await scene.worker(of_all_kinds, doubling, double)
            await scene.turned(run, turns)
            await scene.stop(process)
        await scene.worker(of_all_kinds, doubling, double)

        await scene.send(run, number, 9)

        assert await scene.result(run) == [2, 4, "slept", 9]

    @pytest.mark.parametrize("limits", [{"cache_instances": 0}, {"cache_instances": 1}, {"cache_bytes": 1}], ids=str)
    async def test_a_cache_that_is_too_small_costs_time_and_nothing_else(
        self, scene: Scene, limits: dict[str, Any]
    ) -> None:
        await scene.worker(stepping, replay_check="never", **limits)
        runs = [await scene.start(stepping(4)) for _ in range(4)]
        for run in runs:
            await scene.turned(run)

        for turn in range(4):
            for run in runs:
                await scene.send(run, number, turn)
            for run in runs:
                await scene.turned(run, turn + 2)

        assert [await scene.result(run) for run in runs] == [6] * 4

    async def test_what_code_that_is_put_out_does_in_its_finally_does_not_count(self, scene: Scene) -> None:
        ran: list[str] = []

        @activity
        async def forbidden() -> None:
            ran.append("an activity of a finally was run")

        @orchestration
        async def tidy() -> int:
            is_done = False
            try:
                value = await number()
                is_done = True
            finally:
                if not is_done:
                    await forbidden()
            return value

        await scene.worker(tidy, forbidden, cache_instances=0)
        run = await scene.start(tidy())
        await scene.turned(run)
        await scene.pass_moments(1)
        await scene.send(run, number, 3)

        assert await scene.result(run) == 3
        assert ran == []
        assert len(turns_of(await scene.history(run))) == 2

    async def test_a_live_instance_is_not_replayed_for_its_next_turn(self, scene: Scene) -> None:
        begun: list[int] = []

        @orchestration
        async def counting() -> int:
            begun.append(1)
            return sum([await number() for _ in range(6)])

        await scene.worker(counting, replay_check="never")
        run = await scene.start(counting())
        await scene.turned(run)
        for turn in range(6):
            await scene.send(run, number, 1)
            await scene.turned(run, turn + 2)

        assert await scene.result(run) == 6
        assert begun == [1]

    async def test_a_worker_with_room_for_one_serves_all(self, scene: Scene) -> None:
        await scene.worker(of_all_kinds, doubling, double, turns_max=1, activities_max=1)
        runs = [await scene.start(of_all_kinds(0.01)) for _ in range(5)]
        for run in runs:
            await scene.send(run, number, 9)

        assert [await scene.result(run) for run in runs] == [[2, 4, "slept", 9]] * 5

    async def test_what_one_worker_has_no_room_for_is_for_another(self, scene: Scene) -> None:
        """One that hoards what it cannot work on keeps it from those who could."""
        gated = Gated()
        await scene.worker(*gated.definitions, activities_max=2)
        runs = [await scene.start(gated.call()) for _ in range(4)]
        await scene.until(lambda: gated.begun == 2)

        await scene.worker(*gated.definitions, activities_max=2)
        await scene.until(lambda: gated.begun == 4)
        gated.gate.set()

        assert [await scene.result(run) for run in runs] == ["done"] * 4

    async def test_a_worker_without_orchestrations_runs_activities_and_the_other_way_round(self, scene: Scene) -> None:
        await scene.worker(of_all_kinds, doubling, tasks=())
        await scene.worker(double, turns=())
        run = await scene.start(of_all_kinds(0))
        await scene.send(run, number, 9)

        assert await scene.result(run) == [2, 4, "slept", 9]

    async def test_a_stop_waits_for_what_runs_and_records_it(self, scene: Scene) -> None:
        gated = Gated()
        first = await scene.worker(*gated.definitions, drain_seconds=60)
        run = await scene.start(gated.call())
        await scene.until(lambda: gated.begun)

        stopping = asyncio.ensure_future(first.stop(None))
        await scene.settle()
        gated.gate.set()
        await scene.finish(stopping)

        assert await run.result(timeout_seconds=0) == "done"
        assert (gated.begun, gated.broken_off) == (1, 0)

    async def test_a_stop_that_does_not_wait_gives_back_what_runs_at_once(self, scene: Scene) -> None:
        gated = Gated()
        first = await scene.worker(*gated.definitions)
        run = await scene.start(gated.call())
        await scene.until(lambda: gated.begun)

        await scene.stop(first, drain_seconds=0)
        assert gated.broken_off == 1

        gated.gate.set()
        await scene.worker(*gated.definitions)
        assert await scene.result(run) == "done"
        assert gated.begun == 2

    async def test_many_stops_do_not_make_an_activity_look_like_the_cause_of_crashes(self, scene: Scene) -> None:
        """Deliveries belong to crashes: given back, it is as new."""
        gated = Gated()
        run = await scene.start(gated.call())
        for times in range(1, 26):
            process = await scene.worker(*gated.definitions)
            await scene.until(partial(gated.has_begun, times))
            await scene.stop(process, drain_seconds=0)
        gated.gate.set()

        await scene.worker(*gated.definitions)

        assert await scene.result(run) == "done"

    async def test_a_plain_function_is_given_back_though_its_thread_goes_on(self, scene: Scene) -> None:
        release = threading.Event()
        begun: list[int] = []

        @activity
        def in_thread() -> str:
            begun.append(1)
            if len(begun) == 1:
                release.wait(30)
            return "done"

        @orchestration
        async def asking() -> str:
            return await in_thread()

        scene.waits_for_threads = False
        first = await scene.worker(asking, in_thread)
        run = await scene.start(asking())
        await scene.until(lambda: begun)
        await scene.stop(first, drain_seconds=0)
        scene.waits_for_threads = True

        await scene.worker(asking, in_thread)

        assert await scene.result(run) == "done"
        release.set()
        assert len(begun) == 2

    async def test_everybody_may_be_away_for_a_while(self, scene: Scene) -> None:
        first = await scene.worker(summing, sleeping)
        reader, sleeper = await scene.start(summing(2)), await scene.start(sleeping(scene.moment))
        await scene.turned(reader)
        await scene.turned(sleeper)
        await scene.stop(first)
        await scene.send(reader, number, 1, 2)
        await scene.pass_moments(2)

        await scene.worker(summing, sleeping)

        read = await scene.result(reader)
        assert sorted(read) == [1, 2]
        assert await scene.result(sleeper) == "awake"

    async def test_each_turn_says_which_worker_ran_it(self, scene: Scene) -> None:
        seen: list[str] = []
        run = await scene.start(stepping(2))
        for value in range(2):
            process = await scene.worker(stepping)
            await scene.turned(run, value + 1)
            await scene.stop(process)
            seen.append(process.worker.id)
            await scene.send(run, number, value)
        last = await scene.worker(stepping)
        await scene.result(run)

        told = [turn for _, turn in (await scene.history(run)).events() if isinstance(turn, events.TurnStarted)]
        assert len(set(seen)) == 2
        assert {turn.worker for turn in told} == {*seen, last.worker.id}
