"""Live code between turns is only a cache: with it, without it and with too little of it, the results are the same."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from _harness import turns

from perdure.authoring import Event, activity, orchestration
from perdure.replay import Execution

if TYPE_CHECKING:
    from _harness import World

go: Event[int] = Event("go")


@activity
async def plus_one(value: int) -> int:
    return value + 1


@orchestration
async def story(seed: int) -> list[int]:
    first = await plus_one(seed)
    second = await go()
    await asyncio.sleep(3)
    third, fourth = await asyncio.gather(plus_one(second), plus_one(first))
    return [first, second, third, fourth]


@orchestration
async def quick(value: int) -> int:
    return await plus_one(value)


@pytest.mark.parametrize("settings", [{"cache_instances": 0}, {"cache_instances": 1}, {"cache_bytes": 1}, {}], ids=str)
async def test_interleaved_instances_end_alike_however_little_is_kept(world: World, settings: dict[str, int]) -> None:
    await world.worker(story, plus_one, **settings)
    runs = [await world.client.start(story(seed)) for seed in range(10)]
    await world.settle()
    for index, run in enumerate(runs):
        await run.send(go, index * 10)
        await world.settle()

    for seed, run in enumerate(runs):
        assert await world.result(run) == [seed + 1, seed * 10, seed * 10 + 1, seed + 2]


async def test_no_more_instances_are_kept_than_asked_for(world: World) -> None:
    process = await world.worker(story, plus_one, cache_instances=3)
    for seed in range(10):
        await world.client.start(story(seed))
        await world.settle()

    assert process.worker is not None
    assert len(process.worker._seats) == 3


async def test_no_more_history_is_kept_than_asked_for_but_one_instance_always_is(world: World) -> None:
    process = await world.worker(story, plus_one, cache_bytes=1_500)
    assert process.worker is not None
    seats = process.worker._seats
    for seed in range(10):
        await world.client.start(story(seed))
        await world.settle()
        assert len(seats) == 1 or seats._bytes <= 1_500

    assert 1 <= len(seats) < 10
    assert seats._bytes == sum(seat.state.history_bytes for seat in seats._seats.values())


async def test_code_that_is_put_out_runs_its_finally_and_nothing_that_it_asks_for_counts(world: World) -> None:
    seen: list[str] = []

    @activity
    async def forbidden() -> None:
        seen.append("an activity of a finally was run")

    @orchestration
    async def tidy() -> int:
        try:
            return await go()
        finally:
            seen.append("finally")
            await forbidden()

    await world.worker(tidy, forbidden, cache_instances=0, replay_check="never")
    run = await world.client.start(tidy())
    await world.pass_seconds(60)

    assert seen == ["finally"]
    assert len(turns(await world.history(run))) == 1
    assert world.waiting("tasks:default") == []


async def test_a_worker_that_has_finished_two_thousand_instances_holds_none_of_them(world: World) -> None:
    before = _executions()
    process = await world.worker(quick, plus_one, replay_check="never")
    for batch in range(20):
        runs = [await world.client.start(quick(each)) for each in range(100)]
        for each, run in enumerate(runs):
            assert await world.result(run) == each + 1, batch
    await world.settle()

    worker = process.worker
    assert worker is not None
    assert len(worker._seats) == 0
    assert worker._seats._bytes == 0
    assert worker._mailboxes.busy == 0
    assert worker._mailboxes._waiting == {}
    assert worker._mailboxes._waiting_count == 0
    assert len(worker._leases) == 0
    assert worker._activities.busy == 0
    assert sum(worker._activities._in_hand.values()) == 0
    assert sum(worker._activities._reserved.values()) == 0
    assert worker._seats.graveyard == []
    assert _executions() <= before + 5  # of two thousand: a frame of the last turns may still hold one


def _executions() -> int:
    gc.collect()
    return sum(isinstance(each, Execution) for each in gc.get_objects())


async def test_a_live_instance_is_not_replayed_for_its_next_turn(world: World) -> None:
    begun: list[int] = []

    @orchestration
    async def counting() -> int:
        begun.append(1)
        return sum([await go() for _ in range(20)])

    await world.worker(counting, replay_check="never")
    run = await world.client.start(counting())
    for _ in range(20):
        await run.send(go, 1)
        await world.settle()

    assert await world.result(run) == 20
    assert begun == [1]
