"""Work that a worker does not know waits for one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure import events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, sleeping, summing

if TYPE_CHECKING:
    from perdure import Run
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["UnknownCodeScenarios"]


@orchestration(name="summing", version="2")
async def summing_2(count: int) -> list[int]:
    return [-await number() for _ in range(count)]


@orchestration
async def asking() -> int:
    return await doubling(2)


class UnknownCodeScenarios(Scenarios):
    async def test_an_unknown_orchestration_is_visible_as_waiting_for_a_worker_that_knows_it(
        self, scene: Scene
    ) -> None:
        await scene.worker(sleeping)
        run = await scene.start(summing(1))

        assert await scene.stalled(run) == "waits for a worker that knows orchestration 'summing'"
        assert (await run.summary()).status == "Pending"

    async def test_what_it_waits_for_names_the_version(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing_2(1))

        assert await scene.stalled(run) == "waits for a worker that knows orchestration 'summing' version '2'"

    async def test_it_goes_on_when_a_worker_that_knows_it_starts(self, scene: Scene) -> None:
        first = await scene.worker(sleeping)
        run = await scene.start(summing(1))
        await scene.stalled(run)
        await scene.pass_moments(3)
        await scene.send(run, number, 4)
        await scene.stop(first)

        await scene.worker(summing)

        assert await scene.result(run) == [4]
        assert (await run.summary()).stalled == ""

    async def test_events_that_arrive_meanwhile_are_kept(self, scene: Scene) -> None:
        first = await scene.worker(sleeping)
        run = await scene.start(summing(3))
        await scene.stalled(run)
        for value in range(3):
            await scene.send(run, number, value)
            await scene.taken_in(run, value + 1)
        await scene.stop(first)

        await scene.worker(summing)

        assert await scene.result(run) == [0, 1, 2]

    async def test_an_unknown_activity_waits_and_fails_nothing(self, scene: Scene) -> None:
        first = await scene.worker(doubling)
        run = await scene.start(doubling(2))
        await scene.turned(run)
        await scene.pass_moments(3)
        assert (await run.summary()).status == "Running"
        await scene.stop(first)

        told = [event for _, event in (await scene.history(run)).events()]
        assert not any(isinstance(event, events.TaskFailed) for event in told)
        await scene.worker(doubling, double)
        assert await scene.result(run) == 4

    async def test_an_unknown_activity_that_waited_for_long_is_as_fresh_as_when_it_was_sent(self, scene: Scene) -> None:
        """It goes from hand to hand until then; waiting must burn no deliveries."""
        scene.needs_virtual_time("a task is passed on every 5 seconds")
        await scene.worker(doubling, tasks=())
        others = [await scene.worker(sleeping, turns=()) for _ in range(2)]
        run = await scene.start(doubling(2))
        await scene.harness.let_time_pass(3_600)
        for other in others:
            await scene.stop(other)

        await scene.worker(double, turns=())

        assert await scene.result(run) == 4

    async def test_a_child_that_nobody_knows_keeps_its_parent_waiting_only(self, scene: Scene) -> None:
        first = await scene.worker(asking)
        run = await scene.start(asking(), id="p")
        await scene.stalled(await child_of(scene))
        assert (await run.summary()).stalled == ""
        await scene.stop(first)

        await scene.worker(asking, doubling, double)

        assert await scene.result(run) == 4


async def child_of(scene: Scene) -> Run[Any]:
    """Wait for the child of `p` to be there."""
    await scene.has_status("p:1", "Pending")
    return await scene.client.get("p:1")
