"""The hub is away for a while: everything waits, nothing is given back, and nobody pays with a delivery (R15)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from _faults import Outage
from _harness import World

from perdure.authoring import Event, activity, orchestration
from perdure.errors import Unavailable

if TYPE_CHECKING:
    from _harness import Process

go: Event[int] = Event("go")

HOUR = 3_600.0

begun: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_begun_yet() -> None:
    begun.clear()


@activity
async def plus_one(value: int) -> int:
    begun.append("plus_one")
    return value + 1


@orchestration
async def chain(count: int) -> int:
    value = 0
    for _ in range(count):
        value = await plus_one(value)
        await asyncio.sleep(1)
    return value


@orchestration
async def summing(count: int) -> int:
    return sum([await go() for _ in range(count)])


async def _behind(world: World, *, of_store: Outage | None = None, of_queue: Outage | None = None) -> Process:
    """Begin a process whose store and queue are behind these."""
    store, queue = of_store or Outage(), of_queue or Outage()
    return await world.process(
        wrap=lambda committer: store.committer(queue.committer(committer)),
        wrap_store=store.store,
        wrap_queue=queue.queue,
    )


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "outbox"])
@pytest.mark.parametrize("away", ["store", "queue", "both"])
async def test_a_worker_outlasts_an_hour_without_its_hub_and_goes_on(atomic: bool, away: str) -> None:  # noqa: FBT001
    async with World(atomic=atomic) as world:
        outage = Outage()
        process = await _behind(
            world,
            of_store=outage if away != "queue" else None,
            of_queue=outage if away != "store" else None,
        )
        await process.work(chain, plus_one)
        runs = [await world.client.start(chain(20)) for _ in range(5)]
        await world.pass_seconds(5.5)

        outage.is_on = True
        await world.pass_seconds(HOUR)
        assert outage.refused > 0
        outage.is_on = False

        for run in runs:
            assert await world.result(run) == 20
        assert world.dead() == []


async def test_without_its_store_a_worker_keeps_the_messages_it_has_and_burns_no_deliveries(world: World) -> None:
    """A message that was given back for an hour of outage would be among the dead letters by now."""
    outage = Outage()
    process = await _behind(world, of_store=outage)
    await process.work(summing)
    run = await world.client.start(summing(1))
    await world.settle()
    outage.is_on = True
    await run.send(go, 7)

    await world.pass_seconds(HOUR)

    assert [message.delivery_count for message in world.waiting("turns:default")] == [1]
    outage.is_on = False
    assert await world.result(run) == 7


async def test_without_its_store_a_worker_takes_no_more_than_it_can_hold(world: World) -> None:
    outage = Outage()
    process = await _behind(world, of_store=outage)
    outage.is_on = True
    for _ in range(20):
        await world.client.start(summing(1))

    await process.work(summing, turns_max=3)
    await world.pass_seconds(HOUR)

    counts = sorted(message.delivery_count for message in world.waiting("turns:default"))
    assert counts == [0] * 17 + [1] * 3


async def test_an_activity_that_was_done_is_not_done_again_because_its_outcome_could_not_be_told(world: World) -> None:
    outage = Outage()
    process = await _behind(world, of_store=outage)
    done = asyncio.Event()

    @activity
    async def once() -> str:
        begun.append("once")
        outage.is_on = True
        done.set()
        return "result"

    @orchestration
    async def asking() -> str:
        return await once()

    await process.work(asking, once)
    run = await world.client.start(asking())
    await world.pass_seconds(HOUR)
    assert done.is_set()

    outage.is_on = False

    assert await world.result(run) == "result"
    assert begun == ["once"]


async def test_a_worker_of_activities_alone_tells_its_outcome_when_the_hub_is_back(world: World) -> None:
    outage = Outage()

    @activity
    async def once() -> str:
        begun.append("once")
        outage.is_on = True
        return "result"

    @orchestration
    async def asking() -> str:
        return await once()

    await world.worker(asking, tasks=())
    process = await _behind(world, of_store=outage, of_queue=outage)
    await process.work(once, turns=(), lease_seconds=600)
    run = await world.client.start(asking())
    await world.pass_seconds(300)
    outage.is_on = False

    assert await world.result(run) == "result"
    assert begun == ["once"]


async def test_a_worker_that_is_stopped_while_the_hub_is_away_stops_and_its_work_comes_again(world: World) -> None:
    outage = Outage()
    process = await _behind(world, of_store=outage, of_queue=outage)
    await process.work(chain, summing, plus_one)
    run = await world.client.start(summing(1))
    await world.settle()
    await run.send(go, 3)
    outage.is_on = True
    await world.pass_seconds(60)

    began = world.clock.monotonic()
    await process.stop()
    assert world.clock.monotonic() - began < 60
    outage.is_on = False
    await world.worker(summing)

    assert await world.result(run) == 3


async def test_a_client_that_waits_for_a_result_sits_out_a_short_outage(world: World) -> None:
    outage = Outage()
    process = await _behind(world, of_store=outage)
    await world.worker(summing)
    run = await process.client.start(summing(1))
    waiting = asyncio.ensure_future(run.result())
    await world.pass_seconds(1)

    outage.is_on = True
    await world.pass_seconds(45)
    outage.is_on = False
    await world.client.send(run.id, go, 5)

    assert await world.finish(waiting) == 5


async def test_a_client_that_waits_for_a_result_is_told_of_a_long_outage(world: World) -> None:
    outage = Outage()
    process = await _behind(world, of_store=outage)
    run = await process.client.start(summing(1))
    waiting = asyncio.ensure_future(run.result())
    await world.pass_seconds(1)

    outage.is_on = True
    await world.pass_seconds(200)

    assert waiting.done()
    with pytest.raises(Unavailable):
        await waiting
