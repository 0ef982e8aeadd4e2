"""Waiting: for time, and for what others send."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from _harness import DAY, World, turns

from perdure.authoring import Event, now, orchestration
from perdure.errors import Closed, Misuse, NotFound
from perdure.memory import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import QueueCapabilities

number: Event[int] = Event("number")
text: Event[str] = Event("text")


@orchestration
async def sleeping(seconds: float) -> float:
    began = now().timestamp()
    await asyncio.sleep(seconds)
    return now().timestamp() - began


@orchestration
async def summing(count: int) -> list[int]:
    return [await number() for _ in range(count)]


@orchestration
async def two_waiters() -> list[int]:
    return list(await asyncio.gather(number(), number()))


class ShortDelays(MemoryQueue):
    """A queue that delays a message by a quarter of an hour at most, as SQS does."""

    capabilities: Mapping[str, QueueCapabilities] = {
        kind: msgspec.structs.replace(limits, delay_seconds_max=900.0)
        for kind, limits in MemoryQueue.capabilities.items()
    }


# ---- time ----------------------------------------------------------------------------------------------------------


async def test_a_timer_of_three_weeks_fires_though_no_worker_lived_meanwhile(world: World) -> None:
    first = await world.worker(sleeping)
    run = await world.client.start(sleeping(21 * DAY))
    await world.settle()
    await first.stop()

    await world.pass_seconds(21 * DAY)
    assert (await run.summary()).status == "Running"
    await world.worker(sleeping)

    assert await world.result(run) >= 21 * DAY


async def test_r13_a_timer_longer_than_the_queue_can_delay_hops_and_fires_on_time() -> None:
    async with World(queue_type=ShortDelays) as world:
        await world.worker(sleeping)

        run = await world.client.start(sleeping(DAY / 4))

        slept = await world.result(run, within_seconds=DAY)
        assert DAY / 4 <= slept < DAY / 4 + 1
        assert len(turns(await world.history(run))) == 2


async def test_r13_a_scheduled_start_further_away_than_the_queue_can_delay_waits() -> None:
    async with World(queue_type=ShortDelays) as world:
        await world.worker(sleeping)
        at = datetime.fromtimestamp(world.clock.now(), UTC) + timedelta(hours=3)

        run = await world.client.start(sleeping(0), start_at=at)

        await world.pass_seconds(3 * 3_600 - 1)
        assert (await run.summary()).status == "Pending"
        await world.pass_seconds(2)
        assert (await run.summary()).status == "Completed"


async def test_zero_and_negative_sleeps_end_in_a_turn_of_their_own_at_once(world: World) -> None:
    await world.worker(sleeping)

    for seconds in (0.0, -5.0):
        assert await world.result(await world.client.start(sleeping(seconds))) < 0.1


async def test_r19_timers_fire_in_the_order_of_their_times_whatever_the_order_of_asking(world: World) -> None:
    @orchestration
    async def three() -> list[int]:
        order: list[int] = []

        async def after(seconds: int) -> None:
            await asyncio.sleep(seconds)
            order.append(seconds)

        await asyncio.gather(after(30), after(10), after(20))
        return order

    worker = await world.worker(three)
    run = await world.client.start(three())
    await world.settle()
    await worker.stop()
    await world.pass_seconds(100)
    await world.worker(three)

    assert await world.result(run) == [10, 20, 30]
    assert len(turns(await world.history(run))) == 2


async def test_r19_only_one_timer_message_is_under_way_however_many_timers_wait(world: World) -> None:
    @orchestration
    async def many() -> None:
        await asyncio.gather(*(asyncio.sleep(1_000 + each) for each in range(50)))

    await world.worker(many)
    await world.client.start(many())
    await world.settle()

    assert len(world.waiting("turns:default")) == 1


async def test_a_scheduled_start_is_not_before_its_time(world: World) -> None:
    await world.worker(sleeping)
    at = datetime.fromtimestamp(world.clock.now(), UTC) + timedelta(hours=2)

    run = await world.client.start(sleeping(0), start_at=at)

    await world.pass_seconds(7_190)
    assert (await run.summary()).status == "Pending"
    await world.pass_seconds(20)
    assert (await run.summary()).status == "Completed"


async def test_an_event_does_not_start_an_instance_before_its_time(world: World) -> None:
    await world.worker(summing)
    at = datetime.fromtimestamp(world.clock.now(), UTC) + timedelta(hours=2)
    run = await world.client.start(summing(1), start_at=at)
    await world.settle()

    await run.send(number, 5)
    await world.pass_seconds(7_190)

    assert (await run.summary()).status == "Pending"
    assert await world.result(run) == [5]
    assert turns(await world.history(run))[0].turn.now >= at.timestamp()  # type: ignore[union-attr]


async def test_a_start_time_without_a_time_zone_is_refused(world: World) -> None:
    with pytest.raises(Misuse, match="time zone"):
        await world.client.start(sleeping(0), start_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


# ---- events --------------------------------------------------------------------------------------------------------


async def test_events_sent_before_the_wait_are_read_in_the_order_of_arrival(world: World) -> None:
    run = await world.client.start(summing(3))
    for each in (1, 2, 3):
        await run.send(number, each)

    await world.worker(summing)

    assert await world.result(run) == [1, 2, 3]


async def test_events_sent_after_the_wait_wake_the_instance(world: World) -> None:
    await world.worker(summing)
    run = await world.client.start(summing(2))
    await world.settle()
    assert (await run.summary()).status == "Running"

    await run.send(number, 8)
    await world.client.send(run.id, "number", 9)

    assert await world.result(run) == [8, 9]


async def test_two_waiters_get_one_event_each_first_come_first_served(world: World) -> None:
    await world.worker(two_waiters)
    run = await world.client.start(two_waiters())

    await run.send(number, 1)
    await world.settle()
    await run.send(number, 2)

    assert await world.result(run) == [1, 2]


async def test_an_event_of_another_name_leaves_the_waiter_alone(world: World) -> None:
    await world.worker(summing)
    run = await world.client.start(summing(1))

    await run.send(text, "hello")
    await world.pass_seconds(10)
    assert (await run.summary()).status == "Running"
    await run.send(number, 4)

    assert await world.result(run) == [4]


async def test_an_event_with_an_id_counts_once_however_often_it_is_sent(world: World) -> None:
    await world.worker(summing)
    run = await world.client.start(summing(2))

    for _ in range(3):
        await run.send(number, 1, event_id="first")
        await world.settle()
    await run.send(number, 2, event_id="second")

    assert await world.result(run) == [1, 2]


async def test_a_thousand_events_to_a_busy_instance_take_few_turns_and_none_is_lost(world: World) -> None:
    run = await world.client.start(summing(1_000))
    for each in range(1_000):
        await run.send(number, each)

    await world.worker(summing, replay_check="never")

    assert await world.result(run) == list(range(1_000))
    assert len(turns(await world.history(run))) < 20


async def test_a_timeout_gives_up_and_the_late_event_is_kept_for_the_next_wait(world: World) -> None:
    @orchestration
    async def impatient() -> str:
        try:
            async with asyncio.timeout(60):
                await number()
        except TimeoutError:
            return f"late {await number()}"
        return "in time"

    await world.worker(impatient)
    run = await world.client.start(impatient())
    await world.pass_seconds(100)

    await run.send(number, 6)

    assert await world.result(run) == "late 6"


async def test_an_event_to_a_closed_instance_is_refused_with_its_status(world: World) -> None:
    await world.worker(sleeping)
    run = await world.client.start(sleeping(0))
    await world.result(run)

    with pytest.raises(Closed, match="Completed") as caught:
        await run.send(number, 1)
    assert caught.value.status == "Completed"


async def test_an_event_that_meets_an_instance_which_closed_meanwhile_is_dropped_and_completed(world: World) -> None:
    run = await world.client.start(summing(1))
    for each in (1, 2, 3):
        await run.send(number, each)
        await world.settle()

    await world.worker(summing, turns_max=1)
    assert await world.result(run) == [1]
    await world.settle()

    assert world.waiting("turns:default") == []
    assert world.dead() == []


async def test_an_event_to_an_unknown_instance_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await world.client.send("nobody", number, 1)


async def test_an_event_that_does_not_fit_its_type_is_refused_and_nothing_is_sent(world: World) -> None:
    run = await world.client.start(summing(1))
    before = Counter(world.in_queue("turns:default"))

    with pytest.raises(Misuse, match="number"):
        await run.send(number, "four")  # type: ignore[arg-type]

    assert world.in_queue("turns:default") == before
