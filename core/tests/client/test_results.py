"""Waiting for results, looking at instances and histories, and what a client is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from perdure import codec, events
from perdure.authoring import Event, activity, orchestration
from perdure.engine import creation
from perdure.errors import Misuse, NotFound, OrchestrationError
from perdure.ids import Key
from perdure.spi import Step

if TYPE_CHECKING:
    from _harness import World

go: Event[int] = Event("go")


@dataclass
class Point:
    x: int
    y: int


@activity
async def mirror(point: Point) -> Point:
    return Point(point.y, point.x)


@orchestration
async def mirroring(point: Point) -> Point:
    return await mirror(point)


@orchestration
async def waiting() -> int:
    return await go()


@orchestration
async def failing() -> None:
    raise LookupError("gone")


@orchestration
async def returning(value: Any) -> Any:
    return value


async def test_a_result_has_the_type_that_the_orchestration_returns(world: World) -> None:
    await world.worker(mirroring, mirror)

    assert await world.result(await world.client.start(mirroring(Point(1, 2)))) == Point(2, 1)


async def test_a_handle_that_knows_no_orchestration_gives_plain_data(world: World) -> None:
    await world.worker(mirroring, mirror)
    await world.client.start(mirroring(Point(1, 2)), id="x")

    assert await world.result(await world.client.get("x")) == {"x": 2, "y": 1}


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, "ü", [None, {"a": [1.5]}], 2**63], ids=repr)
async def test_falsy_and_other_values_come_back_as_they_are(world: World, value: object) -> None:
    await world.worker(returning)

    assert await world.result(await world.client.start(returning(value))) == value


async def test_a_result_is_there_for_whoever_asks_however_often(world: World) -> None:
    await world.worker(waiting)
    run = await world.client.start(waiting())
    askers = [asyncio.ensure_future(run.result()) for _ in range(20)]
    await world.settle()

    await run.send(go, 4)

    assert await world.finish(asyncio.gather(*askers)) == [4] * 20
    assert await run.result(timeout_seconds=0) == 4


async def test_a_result_that_does_not_come_in_time_is_a_timeout_and_the_instance_goes_on(world: World) -> None:
    await world.worker(waiting)
    run = await world.client.start(waiting(), id="x")
    began = world.clock.monotonic()

    with pytest.raises(TimeoutError, match="'x' is Running after 90 s"):
        await world.finish(run.result(timeout_seconds=90))

    assert 90 <= world.clock.monotonic() - began < 120
    await run.send(go, 1)
    assert await world.result(run) == 1


async def test_no_time_at_all_looks_once(world: World) -> None:
    run = await world.client.start(waiting())

    with pytest.raises(TimeoutError, match="Pending"):
        await run.result(timeout_seconds=0)


async def test_a_failure_is_raised_with_what_is_known_of_it(world: World) -> None:
    await world.worker(failing)
    run = await world.client.start(failing(), id="x")

    with pytest.raises(OrchestrationError) as caught:
        await world.result(run)

    assert (caught.value.name, caught.value.instance_id) == ("failing", "x")
    assert str(caught.value.failure) == "LookupError: gone"
    assert "test_results.py" in caught.value.failure.traceback
    assert "'failing' (x) failed" in str(caught.value)


async def test_a_waiting_client_asks_rarely(world: World) -> None:
    """A store that notifies is asked once per change and a few times an hour, not in a loop."""
    process = await world.process()
    run = await process.client.start(waiting())
    waiter = asyncio.ensure_future(run.result())
    await world.settle()
    before = process.life.points

    await world.pass_seconds(3_600)

    assert process.life.points - before < 3_600 / 20 * 3 + 10
    waiter.cancel()


async def test_a_waiting_client_reads_no_records_until_the_end(world: World) -> None:
    """A history may be large; whoever waits needs its last record alone."""
    process = await world.process()
    store: Any = process.hub.store
    read = store.read
    records: list[int] = []

    async def counted(*args: Any, **options: Any) -> Any:
        head = await read(*args, **options)
        records.append(len(getattr(head, "records", ())))
        return head

    store.read = counted
    await world.worker(waiting)
    run = await process.client.start(waiting())
    await world.pass_seconds(100)
    await world.client.send(run.id, go, 1)

    assert await world.result(run) == 1
    assert sum(records) == 1


async def test_an_instance_that_was_purged_is_not_found_any_more(world: World) -> None:
    await world.worker(returning)
    run = await world.client.start(returning(1), id="x")
    await world.result(run)
    head: Any = await world.home.hub.store.read(run.id)  # type: ignore[arg-type]
    await world.home.hub.store.purge(run.id, head.version)  # type: ignore[arg-type]

    for ask in (run.summary, run.result):
        with pytest.raises(NotFound, match="purged"):
            await ask()
    with pytest.raises(NotFound):
        await world.client.get("x")


async def test_a_handle_does_not_speak_for_a_later_instance_of_the_same_id(world: World) -> None:
    run = await world.client.start(returning(1), id="x")
    hub = world.home.hub
    head: Any = await hub.store.read(Key("x"))
    await hub.store.purge(Key("x"), head.version)
    tombstone: Any = await hub.store.read(Key("x"))
    await world.pass_seconds(1)
    started = events.ExecutionStarted("waiting", b"\x90", 1, world.clock.now())
    create = msgspec.structs.replace(creation(Key("x"), "another", started), expected=tombstone.version)
    await hub.commit(Step(append=create), give_up_seconds=1)

    assert (await (await world.client.get("x")).summary()).name == "waiting"
    for ask in (run.summary, run.result):
        with pytest.raises(NotFound, match="replaced"):
            await ask()


async def test_a_history_tells_everything_in_order(world: World) -> None:
    await world.worker(mirroring, mirror)
    run = await world.client.start(mirroring(Point(1, 2)))
    await world.result(run)

    kinds = [type(event) for _, event in (await world.history(run)).events()]

    assert kinds == [
        events.ExecutionStarted,
        events.TurnStarted,
        events.TaskScheduled,
        events.TurnStarted,
        events.TaskCompleted,
        events.ExecutionCompleted,
    ]


async def test_a_history_goes_out_as_lines_and_comes_back(world: World) -> None:
    await world.worker(mirroring, mirror)
    run = await world.client.start(mirroring(Point(1, 2)))
    await world.result(run)
    history = await world.history(run)

    assert tuple(codec.import_lines(history.lines())) == history.records


async def test_changed_waits_for_the_next_change(world: World) -> None:
    await world.worker(waiting)
    assert not await world.finish(world.client.changed("x", None, 5))
    coming = asyncio.ensure_future(world.client.changed("x", None, 1_000))
    await world.settle()
    run = await world.client.start(waiting(), id="x")
    assert await world.finish(coming)
    await world.settle()

    history = await world.history(run)
    assert not await world.finish(world.client.changed("x", history, 5))
    changing = asyncio.ensure_future(world.client.changed("x", history, 1_000))
    await run.send(go, 1)

    assert await world.finish(changing)


# ---- lists ---------------------------------------------------------------------------------------------------------


async def _ids(world: World, **conditions: Any) -> list[str]:
    return [summary.key async for summary in world.client.list(**conditions)]


async def test_a_list_holds_what_fulfils_every_condition_in_the_order_of_ids(world: World) -> None:
    await world.worker(returning, waiting)
    early = datetime.fromtimestamp(world.clock.now(), UTC)
    for id, team in (("b", "x"), ("a", "x"), ("c", "y")):
        await world.result(await world.client.start(returning(1), id=id, tags={"team": team}))
    await world.pass_seconds(100)
    late = datetime.fromtimestamp(world.clock.now(), UTC)
    await world.client.start(waiting(), id="ab", tags={"team": "x"})
    await world.settle()

    assert await _ids(world) == ["a", "ab", "b", "c"]
    assert await _ids(world, status=["Completed"]) == ["a", "b", "c"]
    assert await _ids(world, status=["Running", "Completed"], tags={"team": "x"}) == ["a", "ab", "b"]
    assert await _ids(world, name=["waiting"]) == ["ab"]
    assert await _ids(world, prefix="a") == ["a", "ab"]
    assert await _ids(world, created_from=late) == ["ab"]
    assert await _ids(world, created_from=early, created_to=late) == ["a", "b", "c"]
    assert await _ids(world, limit=2) == ["a", "ab"]
    assert await _ids(world, stalled=True) == []


async def test_stalled_instances_are_listed_with_the_reason(world: World) -> None:
    await world.worker(waiting)
    await world.client.start(returning(1), id="x")
    await world.settle()

    (summary,) = [each async for each in world.client.list(stalled=True)]

    assert summary.key == "x"
    assert "returning" in summary.stalled


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"status": ["running"]}, "'running'"),
        ({"limit": -1}, "limit=-1"),
        ({"created_from": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the point
    ],
    ids=["status", "limit", "created_from"],
)
async def test_a_condition_that_cannot_be_is_refused_by_name(
    world: World, conditions: dict[str, Any], told: str
) -> None:
    """A misspelt status that lists nothing reads as "all is well"."""
    with pytest.raises(Misuse, match=told):
        await _ids(world, **conditions)


async def test_a_list_may_be_left_early(world: World) -> None:
    for each in range(10):
        await world.client.start(returning(each), id=str(each))

    async for summary in world.client.list():
        assert summary.key == "0"
        break
