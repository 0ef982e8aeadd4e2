"""Timers: durable, never early, in order, and gone when they are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from perdure import events, now, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, number, sleeping
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["TimerScenarios"]

HOUR, DAY = 3_600.0, 86_400.0
ROUNDING_SECONDS = 1e-5
"""Times are floats of seconds since 1970, and `now()` has microseconds."""


@orchestration
async def measuring(seconds: float) -> float:
    began = now().timestamp()
    await asyncio.sleep(seconds)
    return now().timestamp() - began


@orchestration
async def in_order(delays: list[float]) -> list[int]:
    order: list[int] = []

    async def after(index: int) -> None:
        await asyncio.sleep(delays[index])
        order.append(index)

    await asyncio.gather(*(after(index) for index in range(len(delays))))
    return order


@orchestration
async def cancelling(long: float) -> str:
    timer = asyncio.create_task(asyncio.sleep(long))
    await double(1)
    timer.cancel()
    with suppress(asyncio.CancelledError):
        await timer
    await number()
    return f"cancelled: {timer.cancelled()}"


@orchestration
async def again_and_again(count: int, seconds: float) -> int:
    for _ in range(count):
        await asyncio.sleep(seconds)
    return count


@orchestration
async def leaving_a_timer(long: float) -> str:
    task = asyncio.create_task(asyncio.sleep(long))
    await double(1)
    return f"done: {task.done()}"


@orchestration
async def work_or_time(seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await number()
    except TimeoutError:
        return "too late"
    return "in time"


class TimerScenarios(Scenarios):
    @pytest.mark.parametrize("seconds", [0.0, -5.0])
    async def test_a_timer_of_no_time_fires_at_once_in_a_turn_of_its_own(self, scene: Scene, seconds: float) -> None:
        await scene.worker(sleeping)

        run = await scene.start(sleeping(seconds))

        assert await scene.result(run) == "awake"
        assert len(turns_of(await scene.history(run))) <= 2

    @pytest.mark.parametrize("moments", [0.1, 1, 2.5])
    async def test_a_timer_never_fires_early(self, scene: Scene, moments: float) -> None:
        await scene.worker(measuring)
        began = scene.clock.now()

        slept = await scene.outcome(measuring(moments * scene.moment))

        assert slept >= moments * scene.moment - ROUNDING_SECONDS
        assert scene.clock.now() - began >= moments * scene.moment - ROUNDING_SECONDS

    async def test_timers_fire_in_the_order_of_their_times_not_of_asking(self, scene: Scene) -> None:
        await scene.worker(in_order)
        delays = [each * scene.moment for each in (3, 1, 2)]

        assert await scene.outcome(in_order(delays)) == [1, 2, 0]

    async def test_timers_that_came_due_together_fire_in_the_order_of_their_times(self, scene: Scene) -> None:
        """No worker lived meanwhile: the next one finds all of them due."""
        first = await scene.worker(in_order)
        run = await scene.start(in_order([each * scene.moment for each in (2, 1, 1.5)]))
        await scene.turned(run)
        await scene.stop(first)
        await scene.pass_moments(3)

        await scene.worker(in_order)

        assert await scene.result(run) == [1, 2, 0]

    async def test_timers_of_one_time_fire_in_the_order_of_asking(self, scene: Scene) -> None:
        await scene.worker(in_order)

        assert await scene.outcome(in_order([scene.moment] * 5)) == [0, 1, 2, 3, 4]

    async def test_many_timers_at_once_all_fire(self, scene: Scene) -> None:
        await scene.worker(in_order)
        delays = [scene.moment * (each % 7) / 7 for each in range(50)]

        order = await scene.outcome(in_order(delays))

        assert sorted(order) == list(range(50))

    async def test_one_timer_after_another_each_waits(self, scene: Scene) -> None:
        await scene.worker(again_and_again)
        began = scene.clock.now()

        assert await scene.outcome(again_and_again(5, scene.moment / 2)) == 5
        assert scene.clock.now() - began >= 5 * scene.moment / 2 - ROUNDING_SECONDS

    async def test_a_cancelled_timer_wakes_nobody(self, scene: Scene) -> None:
        await scene.worker(cancelling, double)

        run = await scene.start(cancelling(HOUR))
        await scene.turned(run, 2)

        assert (await run.summary()).next_due == 0
        if scene.harness.time_is_virtual:
            await scene.harness.let_time_pass(2 * HOUR)
        assert len(turns_of(await scene.history(run))) == 2
        await scene.send(run, number, 1)
        assert await scene.result(run) == "cancelled: True"

    async def test_an_instance_may_end_before_its_timer_does(self, scene: Scene) -> None:
        await scene.worker(leaving_a_timer, double)

        run = await scene.start(leaving_a_timer(HOUR))

        assert await scene.result(run) == "done: False"
        assert (await run.summary()).next_due == 0
        records = len((await scene.history(run)).records)
        if scene.harness.time_is_virtual:
            await scene.harness.let_time_pass(2 * HOUR)
        assert len((await scene.history(run)).records) == records

    async def test_a_timer_fires_though_its_worker_was_stopped_and_another_came(self, scene: Scene) -> None:
        first = await scene.worker(sleeping)
        run = await scene.start(sleeping(2 * scene.moment))
        await scene.turned(run)
        await scene.stop(first)

        await scene.worker(sleeping)

        assert await scene.result(run) == "awake"

    async def test_a_timer_fires_though_its_worker_was_killed(self, scene: Scene) -> None:
        first = await scene.worker(sleeping, lease_seconds=scene.lease_seconds)
        run = await scene.start(sleeping(scene.moment))
        await scene.turned(run)
        await first.kill()

        await scene.worker(sleeping)

        assert await scene.result(run) == "awake"

    async def test_a_wait_that_takes_too_long_is_given_up(self, scene: Scene) -> None:
        await scene.worker(work_or_time)

        assert await scene.outcome(work_or_time(scene.moment)) == "too late"

    async def test_a_timeout_that_was_not_needed_is_cancelled(self, scene: Scene) -> None:
        await scene.worker(work_or_time)
        run = await scene.start(work_or_time(DAY))
        await scene.turned(run)
        assert (await run.summary()).next_due > scene.clock.now()

        await scene.send(run, number, 1)

        assert await scene.result(run) == "in time"
        told = [event for _, event in (await scene.history(run)).events()]
        assert any(isinstance(event, events.TimerCanceled) for event in told)
        assert (await run.summary()).next_due == 0

    async def test_what_is_due_next_is_in_the_summary(self, scene: Scene) -> None:
        await scene.worker(sleeping)
        began = scene.clock.now()
        run = await scene.start(sleeping(DAY))
        await scene.turned(run)

        due = (await run.summary()).next_due

        assert began + DAY - ROUNDING_SECONDS <= due <= scene.clock.now() + DAY + ROUNDING_SECONDS

    @pytest.mark.parametrize("days", [1, 21, 400])
    async def test_a_timer_of_days_fires_on_its_day(self, scene: Scene, days: int) -> None:
        """Longer than queues delay a message, and longer than most workers live."""
        scene.needs_virtual_time("a day is long")
        first = await scene.worker(measuring)
        run = await scene.start(measuring(days * DAY))
        await scene.turned(run)
        await scene.stop(first)
        await scene.harness.let_time_pass(days * DAY - 60)

        await scene.worker(measuring)
        await scene.harness.let_time_pass(30)
        assert (await run.summary()).status == "Running"

        assert days * DAY - ROUNDING_SECONDS <= await scene.result(run) < days * DAY + 60
