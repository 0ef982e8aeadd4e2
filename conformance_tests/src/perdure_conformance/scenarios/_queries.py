"""Finding instances, reading histories, and waiting for a change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from perdure import Misuse, activity, codec, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, fail, number, sleeping, waiting

if TYPE_CHECKING:
    from perdure import Run
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["QueryScenarios"]


@orchestration
async def failing() -> None:
    await fail("it")


FILTERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, ["a/done", "a/failed", "b/running", "b/waiting", "c/later"]),
    "completed": ({"status": ["Completed"]}, ["a/done"]),
    "failed": ({"status": ["Failed"]}, ["a/failed"]),
    "running": ({"status": ["Running"]}, ["b/running", "b/waiting"]),
    "pending": ({"status": ["Pending"]}, ["c/later"]),
    "one of two": ({"status": ["Failed", "Pending"]}, ["a/failed", "c/later"]),
    "never there": ({"status": ["Terminated", "Suspended", "Canceled"]}, []),
    "name": ({"name": ["waiting"]}, ["b/running", "b/waiting"]),
    "names": ({"name": ["waiting", "failing"]}, ["a/failed", "b/running", "b/waiting"]),
    "name of nobody": ({"name": ["nobody"]}, []),
    "prefix": ({"prefix": "a/"}, ["a/done", "a/failed"]),
    "whole id": ({"prefix": "b/waiting"}, ["b/waiting"]),
    "tag": ({"tags": {"team": "red"}}, ["a/done", "b/waiting"]),
    "tags": ({"tags": {"team": "red", "size": "s"}}, ["b/waiting"]),
    "tag of nobody": ({"tags": {"team": ""}}, []),
    "limit": ({"limit": 2}, ["a/done", "a/failed"]),
    "limit of what fits": ({"status": ["Running"], "limit": 1}, ["b/running"]),
    "everything": ({"status": ["Running"], "prefix": "b", "tags": {"team": "red"}}, ["b/waiting"]),
    "stalled": ({"stalled": True}, []),
}

MISTAKES: dict[str, dict[str, Any]] = {
    "status": {"status": ["Finished"]},
    "limit": {"limit": -1},
    "time without a zone": {"created_from": datetime(2030, 1, 1)},  # noqa: DTZ001 - that is the point
}


async def some_of_each(scene: Scene) -> None:
    """Have five instances that differ."""
    await scene.worker(doubling, double, failing, fail, waiting, sleeping)
    await scene.outcome(doubling(1), id="a/done", tags={"team": "red"})
    await scene.failure(failing(), id="a/failed", tags={"team": "blue"})
    running: list[Run[Any]] = [
        await scene.start(waiting(), id="b/waiting", tags={"team": "red", "size": "s"}),
        await scene.start(waiting(), id="b/running"),
    ]
    at = datetime.fromtimestamp(scene.clock.now() + 86_400, UTC)
    await scene.start(sleeping(0), id="c/later", start_at=at, tags={"size": "s"})
    for run in running:
        await scene.turned(run)


class QueryScenarios(Scenarios):
    @pytest.mark.parametrize(("conditions", "expected"), FILTERS.values(), ids=FILTERS)
    async def test_instances_are_found_by(self, scene: Scene, conditions: dict[str, Any], expected: list[str]) -> None:
        await some_of_each(scene)

        assert await scene.ids(**conditions) == expected

    async def test_instances_are_found_by_when_they_were_created(self, scene: Scene) -> None:
        await scene.start(waiting(), id="one")
        await scene.pass_moments(0.5)
        border = datetime.fromtimestamp(scene.clock.now(), UTC)
        await scene.pass_moments(0.5)
        await scene.start(waiting(), id="two")

        assert await scene.ids(created_to=border) == ["one"]
        assert await scene.ids(created_from=border) == ["two"]

    @pytest.mark.parametrize("conditions", MISTAKES.values(), ids=MISTAKES)
    async def test_a_condition_that_makes_no_sense_is_refused(self, scene: Scene, conditions: dict[str, Any]) -> None:
        with pytest.raises(Misuse):
            await scene.ids(**conditions)

    async def test_a_hub_without_instances_lists_none(self, scene: Scene) -> None:
        assert await scene.instances() == []

    async def test_many_instances_are_listed_once_each(self, scene: Scene) -> None:
        for each in range(60):
            await scene.start(waiting(), id=f"i-{each:03}")

        assert await scene.ids() == [f"i-{each:03}" for each in range(60)]

    async def test_a_list_shows_what_happened_before_it_was_asked_for(self, scene: Scene) -> None:
        """Waiting for the end and listing must agree, once the lag that the store declares has passed (H8)."""
        await scene.worker(doubling, double)
        for each in range(10):
            await scene.outcome(doubling(each), id=f"i-{each}")
            assert f"i-{each}" in await scene.ids(status=["Completed"])

    async def test_listing_goes_on_while_instances_come_and_end(self, scene: Scene) -> None:
        """Whoever was there before and still is must be in it."""
        await scene.worker(doubling, double)
        old = [(await scene.start(waiting(), id=f"old-{each}")).id for each in range(10)]

        async def churn() -> None:
            for each in range(10):
                await (await scene.client.start(doubling(each), id=f"new-{each}")).result()

        churning = asyncio.ensure_future(churn())
        while not churning.done():
            assert [each for each in await scene.ids() if each.startswith("old")] == old
            await scene.settle()
            await scene.harness.let_time_pass(0.01)

        await churning

    async def test_a_history_tells_all_that_happened_in_order(self, scene: Scene) -> None:
        await scene.worker(doubling, double)
        run = await scene.start(doubling(1))
        await scene.result(run)

        kinds = [type(event) for _, event in (await scene.history(run)).events()]

        assert kinds.count(events.ExecutionStarted) == 1
        assert [kind for kind in kinds if kind is not events.TurnStarted] == [
            events.ExecutionStarted,
            events.TaskScheduled,
            events.TaskCompleted,
            events.ExecutionCompleted,
        ]

    async def test_the_records_of_a_history_have_versions_without_gaps(self, scene: Scene) -> None:
        await scene.worker(doubling, double)
        run = await scene.start(doubling(1))
        await scene.result(run)

        versions = [record.version for record in (await scene.history(run)).records]

        assert versions == list(range(versions[0], versions[0] + len(versions)))

    async def test_a_history_can_be_written_as_lines_and_read_back(self, scene: Scene) -> None:
        await scene.worker(failing, fail)
        run = await scene.start(failing())
        await scene.failure(run)

        history = await scene.history(run)

        assert list(codec.import_lines(history.lines())) == list(history.records)

    async def test_a_change_is_noticed_by_whoever_waits_for_one(self, scene: Scene) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting())
        await scene.turned(run)
        seen = await scene.history(run)
        noticing = asyncio.ensure_future(scene.client.changed(run.id, seen, 30))

        await scene.send(run, number, 1)

        assert await scene.finish(noticing)
        assert (await scene.history(run)).summary.status in {"Running", "Completed"}

    async def test_no_change_is_noticed_where_there_is_none(self, scene: Scene) -> None:
        run = await scene.start(waiting())
        seen = await scene.history(run)

        assert not await scene.finish(scene.client.changed(run.id, seen, scene.moment))

    async def test_times_of_creation_and_of_the_last_turn_are_kept(self, scene: Scene) -> None:
        @activity
        async def slow() -> None:
            await scene.clock.sleep(scene.moment / 2)

        @orchestration
        async def asking() -> None:
            await slow()

        await scene.worker(asking, slow)
        began = scene.clock.now()
        run = await scene.start(asking())
        await scene.result(run)

        summary = await run.summary()
        assert began - 1e-5 <= summary.created_at < summary.updated_at <= scene.clock.now() + 1e-5
