"""Stopping a worker: what runs ends or is given back, nothing is lost, and it is over soon."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from _faults import Life, MortalCommitter

from perdure.authoring import Event, activity, orchestration
from perdure.errors import Misuse
from perdure.worker import Worker

if TYPE_CHECKING:
    from _harness import World

    from perdure.spi import Clock, Committer, Conflict, Done, Step

go: Event[int] = Event("go")


async def test_an_activity_that_ends_in_time_is_waited_for_and_recorded(world: World) -> None:
    begun: list[int] = []

    @activity
    async def slow() -> str:
        begun.append(1)
        await world.clock.sleep(8)
        return "done"

    @orchestration
    async def asking() -> str:
        return await slow()

    first = await world.worker(asking, slow, drain_seconds=10)
    run = await world.client.start(asking())
    await world.pass_seconds(1)
    await first.stop()

    assert await run.result(timeout_seconds=0) == "done"
    assert begun == [1]


async def test_an_async_activity_that_takes_too_long_is_cancelled_and_given_back_as_new(world: World) -> None:
    seen: list[str] = []

    @activity
    async def slow() -> str:
        seen.append("begun")
        try:
            await world.clock.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return "done"

    @orchestration
    async def asking() -> str:
        return await slow()

    first = await world.worker(asking, slow, drain_seconds=10)
    run = await world.client.start(asking())
    await world.pass_seconds(1)
    await first.stop()

    assert seen == ["begun", "cancelled"]
    assert [message.delivery_count for message in world.waiting("tasks:default")] == [0]
    await world.worker(asking, slow)
    assert await world.result(run) == "done"


async def test_a_hundred_drains_do_not_make_an_activity_look_poisoned(world: World) -> None:
    """Deliveries belong to crashes."""

    @activity
    async def slow() -> str:
        await world.clock.sleep(100)
        return "done"

    @orchestration
    async def asking() -> str:
        return await slow()

    run = await world.client.start(asking())
    for _ in range(20):
        worker = await world.worker(asking, slow)
        await world.pass_seconds(1)
        await worker.stop(drain_seconds=0)
    await world.worker(asking, slow)

    assert await world.result(run) == "done"


async def test_a_sync_activity_is_given_back_though_its_thread_goes_on_and_is_counted(world: World) -> None:
    release = threading.Event()
    begun: list[int] = []

    @activity
    def in_thread() -> str:
        begun.append(1)
        if len(begun) == 1:
            release.wait(30)
        return "done"

    @orchestration
    async def asking() -> str:
        return await in_thread()

    world.waits_for_threads = False
    first = await world.worker(asking, in_thread)
    run = await world.client.start(asking())
    await world.pass_seconds(1)
    await first.stop(drain_seconds=5)
    assert first.worker is not None
    assert first.worker._activities.threads_busy == 1

    world.waits_for_threads = True
    release.set()
    await world.worker(asking, in_thread)
    assert await world.result(run) == "done"
    assert len(begun) == 2


async def test_an_activity_that_swallows_its_cancellation_holds_up_a_stop_for_some_seconds_only(world: World) -> None:
    go_on = asyncio.Event()

    @activity
    async def stubborn() -> str:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return "done"

    @orchestration
    async def asking() -> str:
        return await stubborn()

    first = await world.worker(asking, stubborn)
    run = await world.client.start(asking())
    await world.pass_seconds(1)
    began = world.clock.monotonic()
    try:
        await first.stop(drain_seconds=0)
        assert world.clock.monotonic() - began < 60
    finally:
        go_on.set()

    await world.worker(asking, stubborn)
    assert await world.result(run) == "done"


async def test_what_waits_for_a_thread_is_given_back(world: World) -> None:
    release = threading.Event()

    @activity
    def in_thread(value: int) -> int:
        if not release.is_set():
            release.wait(30)
        return value

    @orchestration
    async def wide() -> int:
        return sum(await asyncio.gather(*(in_thread(value) for value in range(5))))

    world.waits_for_threads = False
    first = await world.worker(wide, in_thread, threads_max=1)
    run = await world.client.start(wide())
    await world.pass_seconds(1)
    await first.stop(drain_seconds=0)
    assert len(world.waiting("tasks:default")) == 5

    world.waits_for_threads = True
    release.set()
    await world.worker(wide, in_thread)
    assert await world.result(run) == 10


async def test_turns_that_run_end_and_are_recorded(world: World) -> None:
    @orchestration
    async def summing(count: int) -> int:
        return sum([await go() for _ in range(count)])

    run = await world.client.start(summing(50))
    for _ in range(50):
        await run.send(go, 1)
    first = await world.worker(summing)
    await asyncio.sleep(0)
    await first.stop()
    assert first.worker is not None
    assert first.worker._mailboxes.busy == 0

    await world.worker(summing)
    assert await world.result(run) == 50


class SlowCommits(MortalCommitter):
    """A committer that takes its time over what holds an activity."""

    def __init__(self, inner: Committer, clock: Clock) -> None:
        super().__init__(inner, Life())
        self._clock = clock
        self.is_under_way = False

    async def commit(self, step: Step) -> Done | Conflict:
        if step.claim is not None:
            self.is_under_way = True
            await self._clock.sleep(1)
        return await super().commit(step)


async def test_an_activity_that_is_born_while_its_worker_stops_is_given_back_before_it_begins(world: World) -> None:
    begun: list[int] = []

    @activity
    async def quick() -> str:
        begun.append(1)
        return "done"

    @orchestration
    async def asking() -> str:
        return await quick()

    committers: list[SlowCommits] = []

    def wrap(committer: Committer) -> Committer:
        committers.append(SlowCommits(committer, world.clock))
        return committers[0]

    process = await world.process(wrap=wrap)
    await process.work(asking, quick)
    run = await world.client.start(asking())
    await world.settle()
    assert committers[0].is_under_way

    await process.stop(drain_seconds=0)

    assert begun == []
    assert [(message.delivery_count, message.holder) for message in world.waiting("tasks:default")] == [(0, None)]
    await world.worker(asking, quick)
    assert await world.result(run) == "done"


async def test_stops_at_any_moment_lose_nothing(world: World) -> None:
    """Workers come and go every few steps of the event loop, while instances run."""

    @activity
    async def plus_one(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    @orchestration
    async def chain(count: int) -> int:
        value = 0
        for _ in range(count):
            value = await plus_one(value)
        return value

    runs = [await world.client.start(chain(20)) for _ in range(5)]
    for moment in range(120):
        worker = await world.worker(chain, plus_one, replay_check="never")
        for _ in range(moment % 60):
            await asyncio.sleep(0)
        await worker.stop(drain_seconds=0)
        await world.pass_seconds(31 if moment % 10 == 9 else 0)
    await world.worker(chain, plus_one)

    for run in runs:
        assert await world.result(run) == 20
    assert world.dead() == []


async def test_stop_is_idempotent_and_may_come_before_the_worker_has_begun(world: World) -> None:
    @orchestration
    async def quick() -> None: ...

    process = await world.worker(quick)
    assert process.worker is not None
    await world.finish(asyncio.gather(process.worker.stop(), process.worker.stop()))
    await process.worker.stop()

    never_run = Worker(process.hub, [quick], process.worker.settings)
    await never_run.stop()
    await world.finish(never_run.run())


async def test_a_worker_runs_once(world: World) -> None:
    @orchestration
    async def quick() -> None: ...

    process = await world.worker(quick)
    assert process.worker is not None
    await process.stop()

    with pytest.raises(Misuse, match="once"):
        await process.worker.run()


async def test_being_cancelled_drains_and_being_cancelled_again_breaks_off(world: World) -> None:
    seen: list[str] = []

    @activity
    async def slow() -> None:
        try:
            await world.clock.sleep(1_000)
        finally:
            seen.append("broken off")

    @orchestration
    async def asking() -> None:
        await slow()

    process = await world.worker(asking, slow, drain_seconds=100)
    await world.client.start(asking())
    await world.pass_seconds(1)
    running: Any = process.running

    running.cancel()
    await world.pass_seconds(50)
    assert not running.done()
    running.cancel()
    await world.settle()

    assert running.cancelled()
    assert seen == ["broken off"]
