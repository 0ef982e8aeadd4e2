"""Workers that are killed: others take over what they had in hand, once its lease has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from perdure import ActivityError, activity, activity_info, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, summing

if TYPE_CHECKING:
    from perdure_conformance.scenarios._process import Process
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["CrashScenarios"]


class Fatal:
    """Code that takes its process down a number of times, or for as long as it is not mended.

    Args:
        deaths: How often.
    """

    def __init__(self, deaths: int) -> None:
        self.deaths_left = deaths
        self.deaths = 0
        self.process: Process

    def strike(self) -> None:
        """Die, if it is to be."""
        if self.deaths_left > 0:
            self.deaths_left -= 1
            self.deaths += 1
            self.process.die()

    async def supervise(self, scene: Scene, *definitions: Any) -> asyncio.Task[None]:
        """Run a worker, and another one whenever it has died; cancel it to end that."""

        async def watch() -> None:
            while True:
                self.process = await scene.worker(*definitions, lease_seconds=scene.lease_seconds, replay_check="never")
                seen = self.deaths
                while self.deaths == seen:
                    await scene.clock.sleep(scene.moment / 10)
                await self.process.kill()

        return asyncio.create_task(watch())


class CrashScenarios(Scenarios):
    async def test_an_activity_of_a_killed_worker_is_begun_again_by_another(self, scene: Scene) -> None:
        gate = asyncio.Event()
        begun: list[tuple[str, int]] = []

        @activity
        async def slow() -> str:
            begun.append((activity_info().idempotency_key, activity_info().attempt))
            await gate.wait()
            return "done"

        @orchestration
        async def asking() -> str:
            return await slow()

        first = await scene.worker(asking, slow, lease_seconds=scene.lease_seconds)
        run = await scene.start(asking())
        await scene.until(lambda: begun)
        await first.kill()
        gate.set()

        await scene.worker(asking, slow)

        assert await scene.result(run) == "done"
        assert len(begun) == 2
        assert len(set(begun)) == 1  # a crash is no failure: it is the same attempt

    async def test_an_activity_that_a_killed_worker_had_received_is_begun_again_as_well(self, scene: Scene) -> None:
        """Not one that it had from birth: this one came by way of the queue."""
        gate = asyncio.Event()
        begun: list[int] = []

        @activity
        async def slow() -> str:
            begun.append(1)
            await gate.wait()
            return "done"

        @orchestration
        async def asking() -> str:
            return await slow()

        await scene.worker(asking, tasks=())
        doomed = await scene.worker(slow, turns=(), lease_seconds=scene.lease_seconds)
        run = await scene.start(asking())
        await scene.until(lambda: begun)
        await doomed.kill()
        gate.set()

        await scene.worker(slow, turns=())

        assert await scene.result(run) == "done"
        assert len(begun) == 2

    async def test_results_that_were_recorded_before_a_crash_are_not_asked_for_again(self, scene: Scene) -> None:
        ran: list[int] = []

        @activity
        async def step(value: int) -> int:
            ran.append(value)
            return value

        @orchestration
        async def stepping() -> list[int]:
            return [await step(1), await step(2), await number(), await step(3)]

        first = await scene.worker(stepping, step)
        run = await scene.start(stepping())
        await scene.turned(run, 3)
        await first.kill()

        await scene.worker(stepping, step)
        await scene.send(run, number, 0)

        assert await scene.result(run) == [1, 2, 0, 3]
        assert ran == [1, 2, 3]

    async def test_a_turn_that_dies_with_its_process_is_run_again(self, scene: Scene) -> None:
        """Nothing of it was recorded: it is as if it had never begun."""
        fatal = Fatal(deaths=1)

        @orchestration
        async def careless() -> int:
            value = await double(1)
            fatal.strike()
            return value + await double(10)

        supervisor = await fatal.supervise(scene, careless, double)
        run = await scene.start(careless())

        assert await scene.result(run) == 22
        assert fatal.deaths == 1
        supervisor.cancel()

    async def test_an_activity_that_dies_with_its_process_is_run_again(self, scene: Scene) -> None:
        fatal = Fatal(deaths=1)

        @activity
        async def risky() -> str:
            fatal.strike()
            return "survived"

        @orchestration
        async def asking() -> str:
            return await risky()

        supervisor = await fatal.supervise(scene, asking, risky)

        assert await scene.outcome(asking()) == "survived"
        assert fatal.deaths == 1
        supervisor.cancel()

    async def test_a_worker_is_killed_among_others_and_nobody_notices(self, scene: Scene) -> None:
        definitions = (summing, doubling, double)
        doomed = await scene.worker(*definitions, lease_seconds=scene.lease_seconds)
        await scene.worker(*definitions, lease_seconds=scene.lease_seconds)
        runs = [await scene.start(doubling(each)) for each in range(10)]
        waits = [await scene.start(summing(1)) for _ in range(4)]
        await scene.turned(runs[0])
        await doomed.kill()
        for run in waits:
            await scene.send(run, number, 7)

        assert [await scene.result(run) for run in runs] == [2 * each for each in range(10)]
        assert [await scene.result(run) for run in waits] == [[7]] * 4

    async def test_events_that_a_killed_worker_held_are_read_by_another_in_any_case(self, scene: Scene) -> None:
        doomed = await scene.worker(summing, lease_seconds=scene.lease_seconds)
        run = await scene.start(summing(10))
        await scene.turned(run)
        await scene.send(run, number, *range(5))
        await doomed.kill()
        await scene.send(run, number, *range(5, 10))

        await scene.worker(summing)

        read = await scene.result(run)
        assert sorted(read) == list(range(10))

    async def test_what_a_killed_worker_comes_to_do_later_has_no_effect(self, scene: Scene) -> None:
        """As of a process that was cut off: it thinks it works, and nobody hears of it."""
        gate = asyncio.Event()
        begun: list[int] = []

        @activity
        async def slow() -> int:
            begun.append(1)
            number_of_this = len(begun)
            await gate.wait()
            return number_of_this

        @orchestration
        async def asking() -> int:
            return await slow()

        cut_off = await scene.worker(asking, slow, lease_seconds=scene.lease_seconds)
        run = await scene.start(asking())
        await scene.until(lambda: begun)
        cut_off.die()
        await scene.worker(asking, slow)
        await scene.until(lambda: len(begun) == 2)

        gate.set()

        assert await scene.result(run) == 2
        await cut_off.kill()

    @pytest.mark.parametrize("company", [0, 3])
    async def test_r15_an_instance_that_takes_processes_down_is_set_aside_and_others_go_on(
        self, scene: Scene, company: int
    ) -> None:
        scene.needs_virtual_time("each death takes a lease")
        fatal = Fatal(deaths=1_000)

        @orchestration
        async def poison() -> int:
            first = await number()
            fatal.strike()
            return first + await number()

        supervisor = await fatal.supervise(scene, poison, doubling, double)
        run = await scene.start(poison(), id="poison")
        others = [await scene.start(doubling(each)) for each in range(company)]
        await scene.send(run, number, 1)

        assert (await scene.stalled(run)).startswith(("poisoned", "suspected"))
        assert [await scene.result(other) for other in others] == [2 * each for each in range(company)]
        assert (await run.summary()).status == "Running"

        fatal.deaths_left = 0
        await scene.send(run, number, 2)
        assert await scene.result(run) == 3
        supervisor.cancel()

    async def test_r15_an_activity_that_takes_processes_down_fails_in_the_end(self, scene: Scene) -> None:
        scene.needs_virtual_time("each death takes a lease")
        fatal = Fatal(deaths=1_000)

        @activity
        async def deadly() -> None:
            fatal.strike()

        @orchestration
        async def careful() -> str:
            try:
                await deadly()
            except ActivityError as error:
                return error.failure.type
            return "?"

        supervisor = await fatal.supervise(scene, careful, deadly)

        assert await scene.outcome(careful()) == "perdure.Poisoned"
        supervisor.cancel()
