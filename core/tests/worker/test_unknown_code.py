"""Work that a worker does not know waits for one that does; waiting burns no deliveries (R15)."""

from __future__ import annotations

import pytest
from _harness import World

from perdure.authoring import Event, activity, orchestration

go: Event[int] = Event("go")


@activity
async def known() -> str:
    return "done"


@orchestration
async def asking() -> str:
    return await known()


@orchestration
async def summing(count: int) -> list[int]:
    return [await go() for _ in range(count)]


@orchestration(name="summing", version="2")
async def summing_2(count: int) -> list[int]:
    return [-await go() for _ in range(count)]


@orchestration
async def another() -> None: ...


@pytest.mark.parametrize("atomic", [True, False])
async def test_an_unknown_activity_is_passed_on_for_hours_without_burning_a_delivery(atomic: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A deploy of the activities that comes a day late must find every task as fresh as when it was sent."""
    async with World(atomic=atomic) as world:
        await world.worker(asking, another)
        run = await world.client.start(asking())

        await world.pass_seconds(3_600)

        assert [message.delivery_count for message in world.waiting("tasks:default")] in ([0], [1])
        await world.worker(known)
        # By turns: the one that does not know it must not be the first to have it each time.
        assert await world.result(run, within_seconds=30) == "done"
        assert world.dead() == []


async def test_an_unknown_orchestration_is_visible_as_waiting_for_a_worker_that_knows_it(world: World) -> None:
    await world.worker(another)

    run = await world.client.start(summing(1))
    await world.settle()

    summary = await run.summary()
    assert summary.status == "Pending"
    assert summary.stalled == "waits for a worker that knows orchestration 'summing'"


async def test_what_it_waits_for_names_the_version(world: World) -> None:
    await world.worker(summing)

    run = await world.client.start(summing_2(1))
    await world.settle()

    assert (await run.summary()).stalled == "waits for a worker that knows orchestration 'summing' version '2'"


async def test_it_goes_on_at_once_when_a_worker_that_knows_it_starts(world: World) -> None:
    """Not when the next try is due: that may be a minute away, and a deploy should be felt at once."""
    await world.worker(another)
    run = await world.client.start(summing(1))
    await world.pass_seconds(600)
    await run.send(go, 4)
    await world.settle()

    await world.worker(summing)
    await world.settle()

    assert await run.result(timeout_seconds=0) == [4]


async def test_events_that_arrive_meanwhile_are_recorded_and_completed(world: World) -> None:
    await world.worker(another)
    run = await world.client.start(summing(3))
    await world.pass_seconds(100)
    for each in (1, 2, 3):
        await run.send(go, each)
        await world.settle()

    assert list(world.in_queue("turns:default")) != []
    assert all(".".join(name.split("/")[2:])[0] == "w" for name in world.in_queue("turns:default"))

    await world.worker(summing)
    assert await world.result(run) == [1, 2, 3]


async def test_one_wake_is_under_way_and_its_delays_grow_to_a_minute(world: World) -> None:
    await world.worker(another)
    await world.client.start(summing(1))

    await world.settle()
    due: list[float] = []
    for _ in range(10):
        (message,) = world.waiting("turns:default")
        due.append(round(message.envelope.not_before - world.clock.now(), 3))
        await world.pass_seconds(due[-1])

    assert due == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


async def test_waiting_for_days_adds_no_records_to_the_history(world: World) -> None:
    await world.worker(another)
    run = await world.client.start(summing(1))
    await world.pass_seconds(100)
    before = len((await world.history(run)).records)

    await world.pass_seconds(6 * 3_600)

    assert len((await world.history(run)).records) == before


async def test_nudges_of_many_starting_workers_leave_one_wake_under_way(world: World) -> None:
    await world.worker(another)
    run = await world.client.start(summing_2(1))
    await world.pass_seconds(300)

    for _ in range(3):
        await world.worker(summing)  # knows the name, not the version: it nudges in vain
    await world.settle()

    assert len(world.waiting("turns:default")) == 1
    assert await world.is_stalled(run)


async def test_an_instance_keeps_its_version_when_a_newer_one_is_there(world: World) -> None:
    first = await world.worker(summing)
    run = await world.client.start(summing(1))
    await world.settle()
    await first.stop()

    await world.worker(summing, summing_2)
    await run.send(go, 4)

    assert await world.result(run) == [4]


async def test_a_worker_without_turn_queues_nudges_nothing(world: World) -> None:
    await world.worker(another)
    await world.client.start(summing(1))
    await world.pass_seconds(300)

    await world.worker(summing, turns=())
    await world.settle()

    assert len(world.waiting("turns:default")) == 1
