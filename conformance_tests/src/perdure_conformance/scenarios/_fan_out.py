"""Many at once: fan-out, fan-in, and what one failure among many does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from perdure import ActivityError, Retry, activity, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, echo, fail, number
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["FanOutScenarios"]


@orchestration
async def fanning_out(count: int, rounds: int) -> int:
    values = list(range(count))
    for _ in range(rounds):
        values = list(await asyncio.gather(*(double(value) for value in values)))
    return sum(values)


@orchestration
async def mixing() -> list[Any]:
    """One of each kind, side by side."""
    return list(await asyncio.gather(double(1), doubling(2), asyncio.sleep(0.01, "slept"), number()))


@orchestration
async def one_fails() -> str:
    try:
        await asyncio.gather(*(double(each) for each in range(5)), fail("the sixth"))
    except ActivityError as error:
        return error.failure.message
    return "?"


@orchestration
async def settling_all() -> list[str]:
    found = await asyncio.gather(double(1), fail("a"), double(2), fail("b"), return_exceptions=True)
    return [each.failure.message if isinstance(each, ActivityError) else str(each) for each in found]


@orchestration
async def forgetting() -> int:
    """Start two activities and wait for neither; one more is waited for."""
    tasks = [asyncio.create_task(double(each)) for each in range(2)]
    result = await double(10)
    return result + len(tasks)


@orchestration
async def starting_none() -> int:
    """Make a call and throw it away."""
    double(1).close()
    return await double(4)


@orchestration
async def first_wins() -> str:
    """Take the activity over an event that never comes."""
    waits = {asyncio.create_task(number()), asyncio.create_task(double(4))}
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return str([task.result() for task in done])


class FanOutScenarios(Scenarios):
    @pytest.mark.parametrize(("count", "rounds"), [(1, 1), (40, 1), (20, 2), (10, 4)])
    async def test_a_fan_out_gives_all_results_in_each_round(self, scene: Scene, count: int, rounds: int) -> None:
        await scene.worker(fanning_out, double)

        assert await scene.outcome(fanning_out(count, rounds)) == sum(range(count)) * 2**rounds

    async def test_a_fan_out_of_hundreds_takes_few_turns(self, scene: Scene) -> None:
        """Whatever waits when a turn begins is its input."""
        ran: list[int] = []

        @activity(name="double")
        async def noting(value: int) -> int:
            ran.append(value)
            return value * 2

        first = await scene.worker(fanning_out, tasks=(), replay_check="never")
        run = await scene.start(fanning_out(300, 1))
        await scene.turned(run)
        await scene.stop(first)
        second = await scene.worker(noting, turns=())
        await scene.until(lambda: len(ran) == 300)
        await scene.stop(second)

        await scene.worker(fanning_out, tasks=(), replay_check="never")

        assert await scene.result(run) == sum(range(300)) * 2
        assert len(turns_of(await scene.history(run))) < 100

    async def test_two_workers_share_a_fan_out(self, scene: Scene) -> None:
        """Each has room for two: four at once are of both."""
        ran: list[int] = []
        gate = asyncio.Event()

        @activity
        async def gated(value: int) -> int:
            ran.append(value)
            await gate.wait()
            return value

        @orchestration
        async def everywhere() -> list[int]:
            return await asyncio.gather(*(gated(each) for each in range(8)))

        for _ in range(2):
            await scene.worker(everywhere, gated, activities_max=2)
        run = await scene.start(everywhere())
        await scene.until(lambda: len(ran) == 4)
        gate.set()

        assert await scene.result(run) == list(range(8))
        assert sorted(ran) == list(range(8))

    async def test_activities_children_timers_and_events_wait_side_by_side(self, scene: Scene) -> None:
        await scene.worker(mixing, double, doubling)
        run = await scene.start(mixing())

        await scene.send(run, number, 7)

        assert await scene.result(run) == [2, 4, "slept", 7]

    async def test_a_failure_among_many_reaches_the_code_that_waits_for_all(self, scene: Scene) -> None:
        await scene.worker(one_fails, double, fail)

        assert await scene.outcome(one_fails()) == "the sixth"

    async def test_all_can_be_waited_for_whatever_becomes_of_each(self, scene: Scene) -> None:
        await scene.worker(settling_all, double, fail)

        assert await scene.outcome(settling_all()) == ["2", "a", "4", "b"]

    async def test_activities_that_nobody_waits_for_are_begun_and_their_results_dropped(self, scene: Scene) -> None:
        await scene.worker(forgetting, double)

        run = await scene.start(forgetting())

        assert await scene.result(run) == 22
        asked = [each for _, each in (await scene.history(run)).events() if isinstance(each, events.TaskScheduled)]
        assert len(asked) == 3

    async def test_a_call_that_is_never_awaited_does_nothing(self, scene: Scene) -> None:
        await scene.worker(starting_none, double)

        run = await scene.start(starting_none())

        assert await scene.result(run) == 8
        asked = [each for _, each in (await scene.history(run)).events() if isinstance(each, events.TaskScheduled)]
        assert len(asked) == 1

    async def test_the_first_of_several_wins_and_the_others_are_given_up(self, scene: Scene) -> None:
        await scene.worker(first_wins, double)

        assert await scene.outcome(first_wins()) == "[8]"

    async def test_each_of_many_is_tried_again_by_itself(self, scene: Scene) -> None:
        tried: list[int] = []

        @activity(retry=Retry(attempts=3, first_delay=0))
        async def flaky(value: int) -> int:
            tried.append(value)
            if value % 2 and tried.count(value) < 3:
                raise ConnectionError(value)
            return value

        @orchestration
        async def insisting() -> list[int]:
            return await asyncio.gather(*(flaky(value) for value in range(6)))

        await scene.worker(insisting, flaky)

        assert await scene.outcome(insisting()) == list(range(6))
        assert sorted(tried) == [0, 1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 5]

    async def test_what_hundreds_give_back_is_a_history_of_several_pages(self, scene: Scene) -> None:
        """Some stores keep a history in pieces; what is in the first ones must be read as well."""

        @orchestration
        async def long() -> int:
            total = 0
            for _ in range(60):
                total += len(await echo("x" * 1_500))
            return total

        await scene.worker(long, echo, replay_check="never")
        run = await scene.start(long())

        assert await scene.result(run) == 60 * 1_500
        assert len(turns_of(await scene.history(run))) == 61
