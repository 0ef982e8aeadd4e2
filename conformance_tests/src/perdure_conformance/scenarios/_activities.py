"""Activities: on the loop and in threads, their timeouts, and what becomes of those that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from perdure import ActivityError, Misuse, activity, activity_info, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, number, text

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["ActivityScenarios"]


@activity
def double_in_thread(value: int) -> int:
    return value * 2


@activity(name="book")
async def book_today(seat: str) -> None:
    """Take a seat by its label."""
    del seat


@activity(name="book")
async def book_tomorrow(seat: int) -> None:
    """Take a seat by its number."""
    raise AssertionError(f"seat {seat} must not get here")


@activity(queue="gpu")
async def render() -> str:
    return "picture"


@orchestration
async def both_ways(value: int) -> int:
    return await double(value) + await double_in_thread(value)


@orchestration
async def many_in_threads(count: int) -> int:
    return sum(await asyncio.gather(*(double_in_thread(each) for each in range(count))))


@orchestration
async def booking() -> str:
    try:
        await book_today("12A")
    except ActivityError as error:
        return f"{error.failure.type}: {error.failure.message}"
    return "?"


@orchestration(queue="front")
async def painting() -> str:
    return await render()


@orchestration
async def painting_elsewhere() -> int:
    return await double.options(queue="gpu")(4)


@orchestration
async def calling_wrongly() -> str:
    try:
        await double("four")  # type: ignore[arg-type]
    except Misuse as error:
        return str(error)
    return "?"


class ActivityScenarios(Scenarios):
    async def test_async_and_plain_functions_are_called_alike(self, scene: Scene) -> None:
        await scene.worker(both_ways, double, double_in_thread)

        assert await scene.outcome(both_ways(3)) == 12

    async def test_a_plain_function_runs_in_a_thread_and_an_async_one_does_not(self, scene: Scene) -> None:
        seen: dict[str, bool] = {}

        @activity
        def in_thread() -> None:
            seen["plain"] = threading.current_thread() is threading.main_thread()

        @activity
        async def on_loop() -> None:
            seen["async"] = threading.current_thread() is threading.main_thread()

        @orchestration
        async def both() -> None:
            await in_thread()
            await on_loop()

        await scene.worker(both, in_thread, on_loop)
        await scene.outcome(both())

        assert seen == {"plain": False, "async": True}

    async def test_more_plain_functions_than_threads_all_run(self, scene: Scene) -> None:
        await scene.worker(many_in_threads, double_in_thread, threads_max=2)

        assert await scene.outcome(many_in_threads(15)) == 2 * sum(range(15))

    async def test_no_more_run_at_once_than_asked_for(self, scene: Scene) -> None:
        inside: list[int] = []
        peaks: list[int] = []

        gate = asyncio.Event()

        @activity
        async def slow(value: int) -> int:
            inside.append(value)
            peaks.append(len(inside))
            await gate.wait()
            inside.remove(value)
            return value

        @orchestration
        async def wide() -> int:
            return sum(await asyncio.gather(*(slow(value) for value in range(12))))

        await scene.worker(wide, slow, activities_max=3)
        run = await scene.start(wide())
        await scene.until(lambda: len(inside) == 3)
        await scene.pass_moments(1)
        gate.set()

        assert await scene.result(run) == sum(range(12))
        assert max(peaks) == 3

    async def test_activities_of_other_queues_go_to_the_workers_that_serve_them(self, scene: Scene) -> None:
        await scene.worker(painting, turns=("front",), tasks=())
        await scene.worker(render, turns=(), tasks=("gpu",))

        assert await scene.outcome(painting()) == "picture"

    async def test_a_call_may_name_another_queue(self, scene: Scene) -> None:
        await scene.worker(painting_elsewhere)
        await scene.worker(double, turns=(), tasks=("gpu",))

        assert await scene.outcome(painting_elsewhere()) == 8

    async def test_turns_and_activities_may_be_of_different_workers(self, scene: Scene) -> None:
        await scene.worker(both_ways, tasks=())
        await scene.worker(double, double_in_thread, turns=())

        assert await scene.outcome(both_ways(1)) == 4

    async def test_an_argument_that_does_not_fit_is_an_error_where_the_call_is_made(self, scene: Scene) -> None:
        await scene.worker(calling_wrongly, double)

        run = await scene.start(calling_wrongly())

        assert "value" in await scene.result(run)
        told = [event for _, event in (await scene.history(run)).events()]
        assert not any(isinstance(event, events.TaskScheduled) for event in told)

    async def test_a_recorded_argument_that_no_longer_fits_is_a_failure(self, scene: Scene) -> None:
        """The worker of the activities was deployed with another signature than the one of the orchestrations."""
        await scene.worker(booking, tasks=())
        await scene.worker(book_tomorrow, turns=())

        told = await scene.outcome(booking())

        assert told.startswith("perdure.errors.Misuse")
        assert "seat" in told

    async def test_an_activity_over_its_timeout_is_broken_off_and_fails(self, scene: Scene) -> None:
        ended: list[str] = []

        @activity(timeout=scene.moment / 2)
        async def endless() -> None:
            try:
                await scene.clock.sleep(10_000)
            finally:
                ended.append("cleaned up")

        @orchestration
        async def patient() -> str:
            try:
                await endless()
            except ActivityError as error:
                return error.failure.type
            return "?"

        await scene.worker(patient, endless)

        assert await scene.outcome(patient()) == "TimeoutError"
        assert ended == ["cleaned up"]

    async def test_an_activity_within_its_timeout_knows_when_it_must_be_done(self, scene: Scene) -> None:
        @activity(timeout=60)
        async def looking_ahead() -> float:
            deadline = activity_info().deadline
            assert deadline is not None
            return deadline.timestamp()

        @orchestration
        async def asking() -> float:
            return await looking_ahead()

        await scene.worker(asking, looking_ahead)
        began = scene.clock.now()

        assert began + 59 < await scene.outcome(asking()) < scene.clock.now() + 61

    async def test_the_result_of_a_call_that_was_given_up_is_dropped(self, scene: Scene) -> None:
        gate = asyncio.Event()

        @activity
        async def slow() -> str:
            await gate.wait()
            return "late"

        @orchestration
        async def impatient() -> str:
            try:
                async with asyncio.timeout(scene.moment / 2):
                    return await slow()
            except TimeoutError:
                return f"gave up, {await text()}"

        await scene.worker(impatient, slow)
        run = await scene.start(impatient())
        await scene.turned(run, 2)
        gate.set()
        await scene.pass_moments(1)

        await scene.send(run, text, "and went on")

        assert await scene.result(run) == "gave up, and went on"
        told = [event for _, event in (await scene.history(run)).events()]
        assert not any(isinstance(event, events.TaskCompleted) for event in told)

    async def test_an_activity_that_ends_after_its_instance_harms_nobody(self, scene: Scene) -> None:
        gate = asyncio.Event()
        ended: list[int] = []

        @activity
        async def slow() -> None:
            await gate.wait()
            ended.append(1)

        @orchestration
        async def leaving() -> int:
            task = asyncio.create_task(slow())
            value = await number()
            assert not task.done()
            return value

        await scene.worker(leaving, slow)
        run = await scene.start(leaving())
        await scene.turned(run)
        await scene.send(run, number, 3)
        assert await scene.result(run) == 3

        gate.set()
        await scene.until(lambda: ended)
        await scene.pass_moments(1)

        assert (await run.summary()).status == "Completed"

    async def test_a_long_activity_keeps_its_lease_and_runs_once(self, scene: Scene) -> None:
        """It is renewed while it runs: nobody else may get the idea that its worker has died."""
        scene.needs_virtual_time("a machine under load may lose a short lease")
        begun: list[int] = []

        @activity
        async def slow() -> str:
            begun.append(1)
            await scene.clock.sleep(2 * scene.lease_seconds)
            return "done"

        @orchestration
        async def asking() -> str:
            return await slow()

        await scene.worker(asking, slow, lease_seconds=scene.lease_seconds)
        await scene.worker(asking, slow, lease_seconds=scene.lease_seconds)

        assert await scene.outcome(asking()) == "done"
        assert begun == [1]

    @pytest.mark.parametrize("count", [1, 6])
    async def test_many_instances_share_one_activity_at_a_time(self, scene: Scene, count: int) -> None:
        await scene.worker(both_ways, double, double_in_thread, activities_max=1, threads_max=1, turns_max=1)

        runs = [await scene.start(both_ways(each)) for each in range(count)]

        assert [await scene.result(run) for run in runs] == [4 * each for each in range(count)]
