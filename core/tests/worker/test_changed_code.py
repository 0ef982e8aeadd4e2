"""Code that changed under running instances: they stall, visibly, lose nothing, and go on when the code is back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from _harness import World, decisions, turns

from perdure import events
from perdure.authoring import Event, Orchestration, activity, orchestration

go: Event[int] = Event("go")


@activity
async def one(value: int) -> int:
    return value + 1


@activity
async def two(value: int) -> int:
    return value * 2


@orchestration(name="story")
async def story() -> list[int]:
    first = await one(1)
    second = await two(first)
    return [first, second, await go(), await go()]


@orchestration(name="story")
async def other_activity() -> list[int]:
    first = await two(1)
    second = await two(first)
    return [first, second, await go(), await go()]


@orchestration(name="story")
async def other_kind() -> list[int]:
    await asyncio.sleep(5)
    second = await two(2)
    return [second, await go(), await go()]


@orchestration(name="story")
async def other_order() -> list[int]:
    second = await two(2)
    first = await one(1)
    return [first, second, await go(), await go()]


@orchestration(name="story")
async def one_call_less() -> list[int]:
    first = await one(1)
    return [first, await go(), await go()]


@orchestration(name="story")
async def one_call_more() -> list[int]:
    first, extra = await asyncio.gather(one(1), one(5))
    second = await two(first)
    return [first, second, extra, await go(), await go()]


@orchestration(name="story")
async def ends_early() -> list[int]:
    return [await one(1)]


HERE = "test_changed_code.py:"

CHANGES = [
    (other_activity, ["decision 1", "activity 'one'", "activity 'two'", HERE]),
    (other_kind, ["decision 1", "activity 'one'", "a timer", HERE]),
    (other_order, ["decision 1", "activity 'one'", "activity 'two'", HERE]),
    (one_call_less, ["decision 2", "activity 'two'", "nothing", HERE]),
    (one_call_more, ["decision 2", "activity 'one'", "nothing"]),
    (ends_early, ["decision 2", "activity 'two'", "it returned"]),
]


async def _half_way(world: World, **settings: Any) -> Any:
    first = await world.worker(story, one, two, **settings)
    run = await world.client.start(story(), id="s")
    await world.settle()
    await first.stop()
    assert len(turns(await world.history(run))) == 3
    return run


@pytest.mark.parametrize(("changed", "shown"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
async def test_an_instance_whose_code_changed_stalls_and_goes_on_when_the_old_code_is_back(
    world: World, changed: Orchestration[..., Any], shown: list[str]
) -> None:
    run = await _half_way(world)

    wrong = await world.worker(changed, one, two)
    await run.send(go, 7)
    await world.pass_seconds(300)

    summary = await run.summary()
    assert summary.status == "Running"
    assert "s: decision" in summary.stalled
    assert all(text in summary.stalled for text in shown)
    (wake,) = world.waiting("turns:default")
    assert wake.delivery_count == 0
    assert world.dead() == []

    await wrong.stop()
    await world.worker(story, one, two)
    await run.send(go, 8)
    await world.settle()
    assert await run.result(timeout_seconds=0) == [2, 4, 7, 8]


async def test_a_hundred_inputs_of_a_stalled_instance_are_recorded_and_fed_in_order_later(world: World) -> None:
    @orchestration(name="reader")
    async def reader(count: int) -> list[int]:
        await one(1)
        return [await go() for _ in range(count)]

    @orchestration(name="reader")
    async def changed(count: int) -> list[int]:
        await two(1)
        return [await go() for _ in range(count)]

    first = await world.worker(reader, one, two)
    run = await world.client.start(reader(100))
    await world.settle()
    await first.stop()
    wrong = await world.worker(changed, one, two)
    for each in range(100):
        await run.send(go, each)
        await world.pass_seconds(1)
    assert await world.is_stalled(run)
    assert len(world.waiting("turns:default")) == 1

    await wrong.stop()
    await world.worker(reader, one, two)

    assert await world.result(run) == list(range(100))


async def test_a_stalled_instance_keeps_its_seat_nowhere_and_others_go_on(world: World) -> None:
    run = await _half_way(world)
    process = await world.worker(other_activity, one, two)
    await run.send(go, 1)
    await world.settle()
    assert await world.is_stalled(run)

    @orchestration
    async def neighbour() -> int:
        return await one(1)

    await world.worker(neighbour, one, two)

    assert await world.result(await world.client.start(neighbour())) == 2
    assert process.worker is not None
    assert len(process.worker._seats) == 0


async def test_options_that_changed_stall_nothing(world: World) -> None:
    """Another queue or another timeout of a call that is recorded are taken from the record."""

    @orchestration(name="story")
    async def other_options() -> list[int]:
        first = await one.options(timeout=99)(1)
        second = await two.options(queue="elsewhere")(first)
        return [first, second, await go(), await go()]

    run = await _half_way(world)
    await world.worker(other_options, one, two)
    await run.send(go, 1)
    await run.send(go, 2)

    assert await world.result(run) == [2, 4, 1, 2]


async def test_the_failed_turn_is_recorded_once_not_with_every_try(world: World) -> None:
    run = await _half_way(world)
    await world.worker(other_activity, one, two)
    await run.send(go, 1)

    await world.pass_seconds(3_600)

    assert len(decisions(await world.history(run), events.TurnFailed)) == 1
