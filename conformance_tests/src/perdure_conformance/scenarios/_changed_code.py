"""Code that changed under running instances: they stall, visibly, lose nothing, and go on when the code is back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from perdure import events, now, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, echo, number
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure import Orchestration, Run
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["ChangedCodeScenarios"]


@orchestration(name="story")
async def story() -> list[Any]:
    """What ran first: an activity, a child, a timer, two events."""
    first = await double(1)
    second = await doubling(first)
    await asyncio.sleep(0.01)
    return [first, second, await number(), await number()]


@orchestration(name="story")
async def another_activity() -> list[Any]:
    return [await echo(1), await doubling(2), await number(), await number()]


@orchestration(name="story")
async def timer_for_activity() -> list[Any]:
    await asyncio.sleep(5)
    return [await doubling(2), await number(), await number()]


@orchestration(name="story")
async def child_for_activity() -> list[Any]:
    return [await doubling(1), await doubling(2), await number(), await number()]


@orchestration(name="story")
async def activity_for_child() -> list[Any]:
    return [await double(1), await double(2), await number(), await number()]


@orchestration(name="story")
async def another_child_id() -> list[Any]:
    return [await double(1), await doubling.options(id="mine")(2), await number(), await number()]


@orchestration(name="story")
async def other_order() -> list[Any]:
    second = await doubling(2)
    return [await double(1), second, await number(), await number()]


@orchestration(name="story")
async def one_call_less() -> list[Any]:
    first = await double(1)
    await asyncio.sleep(0.01)
    return [first, await number(), await number()]


@orchestration(name="story")
async def one_call_more() -> list[Any]:
    first, extra = await asyncio.gather(double(1), double(5))
    return [first, extra, await doubling(first), await number(), await number()]


@orchestration(name="story")
async def ends_early() -> list[Any]:
    return [await double(1)]


@orchestration(name="story")
async def fails_early() -> list[Any]:
    await double(1)
    raise LookupError("new check")


CHANGES = {
    "another activity": (another_activity, ["activity 'double'", "activity 'echo'", "_changed_code.py:"]),
    "a timer for an activity": (timer_for_activity, ["activity 'double'", "a timer"]),
    "a child for an activity": (child_for_activity, ["activity 'double'", "'doubling'"]),
    "an activity for a child": (activity_for_child, ["'doubling'", "activity 'double'"]),
    "another id of a child": (another_child_id, ["'doubling'", "mine"]),
    "another order": (other_order, ["activity 'double'", "'doubling'"]),
    "one call less": (one_call_less, ["'doubling'"]),
    "one call more": (one_call_more, ["activity 'double'"]),
    "an early end": (ends_early, ["'doubling'", "it returned"]),
    "an early failure": (fails_early, ["'doubling'"]),
}


class ChangedCodeScenarios(Scenarios):
    @pytest.mark.parametrize(("changed", "shown"), CHANGES.values(), ids=CHANGES)
    async def test_an_instance_whose_code_changed_stalls_and_goes_on_when_the_old_code_is_back(
        self, scene: Scene, changed: Orchestration[[], list[Any]], shown: list[str]
    ) -> None:
        run = await half_way(scene)
        wrong = await scene.worker(changed, doubling, double, echo)
        await scene.send(run, number, 7)

        why = await scene.stalled(run)

        assert all(text in why for text in [*shown, f"{run.id}: decision"]), why
        assert (await run.summary()).status == "Running"
        assert await scene.ids(stalled=True) == [run.id]

        await scene.stop(wrong)
        await scene.worker(story, doubling, double)
        await scene.send(run, number, 8)
        assert await scene.result(run) == [2, 4, 7, 8]
        assert await scene.ids(stalled=True) == []

    async def test_what_came_while_it_was_stalled_is_fed_in_order_later(self, scene: Scene) -> None:
        @orchestration(name="reader")
        async def reader(count: int) -> list[int]:
            await double(1)
            return [await number() for _ in range(count)]

        @orchestration(name="reader")
        async def changed(count: int) -> list[int]:
            await echo(1)
            return [await number() for _ in range(count)]

        first = await scene.worker(reader, double)
        run = await scene.start(reader(20))
        await scene.turned(run, 2)
        await scene.stop(first)
        wrong = await scene.worker(changed, double, echo)
        await scene.send(run, number, 0)
        await scene.stalled(run)
        for value in range(1, 20):
            await scene.send(run, number, value)
            await scene.taken_in(run, value + 1)
        await scene.stop(wrong)

        await scene.worker(reader, double)

        assert await scene.result(run) == list(range(20))

    async def test_a_stalled_instance_is_recorded_as_such_once(self, scene: Scene) -> None:
        """It is tried again and again; its history must not grow by that."""
        run = await half_way(scene)
        await scene.worker(another_activity, doubling, double, echo)
        await scene.send(run, number, 7)
        await scene.stalled(run)

        await scene.pass_moments(12)

        told = [event for _, event in (await scene.history(run)).events()]
        assert sum(isinstance(event, events.TurnFailed) for event in told) == 1

    async def test_others_go_on_while_one_is_stalled(self, scene: Scene) -> None:
        run = await half_way(scene)
        await scene.worker(another_activity, doubling, double, echo)
        await scene.send(run, number, 7)
        await scene.stalled(run)

        assert await scene.outcome(doubling(4)) == 8

    async def test_options_that_changed_stall_nothing(self, scene: Scene) -> None:
        @orchestration(name="story")
        async def other_options() -> list[Any]:
            first = await double.options(timeout=99, queue="elsewhere")(1)
            second = await doubling.options(queue="elsewhere")(first)
            await asyncio.sleep(0.5)
            return [first, second, await number(), await number()]

        run = await half_way(scene)
        await scene.worker(other_options, doubling, double)
        await scene.send(run, number, 1, 2)

        assert sorted((await scene.result(run))[2:]) == [1, 2]

    async def test_code_may_change_where_no_instance_has_been_yet(self, scene: Scene) -> None:
        @orchestration(name="story")
        async def mended_later() -> list[Any]:
            first = await double(1)
            second = await doubling(first)
            await asyncio.sleep(0.01)
            return [first, second, await number(), await echo("mended"), now().year > 2000]

        run = await half_way(scene)
        await scene.worker(mended_later, doubling, double, echo)
        await scene.send(run, number, 1)

        assert await scene.result(run) == [2, 4, 1, "mended", True]

    async def test_a_new_instance_runs_the_new_code(self, scene: Scene) -> None:
        run = await half_way(scene)
        await scene.worker(ends_early, doubling, double)

        assert await scene.outcome(ends_early(), id="new") == [2]
        assert (await run.summary()).status == "Running"


async def half_way(scene: Scene) -> Run[list[Any]]:
    """Have an instance of the story run until it waits for its events, and take its worker away."""
    first = await scene.worker(story, doubling, double)
    run = await scene.start(story(), id="s")
    await scene.turned(run, 4)
    await scene.stop(first)
    assert len(turns_of(await scene.history(run))) == 4
    return run
