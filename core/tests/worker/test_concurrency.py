"""How much a worker takes on at once, and that what it takes on runs side by side."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from perdure.authoring import Event, activity, orchestration

if TYPE_CHECKING:
    from _harness import World

go: Event[int] = Event("go")


class Gauge:
    """How many are inside, now and at most."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0
        self.entered = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.entered += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


async def test_no_more_activities_run_at_once_than_asked_for_and_no_fewer(world: World) -> None:
    gauge = Gauge()

    @activity
    async def slow(value: int) -> int:
        with gauge:
            await world.clock.sleep(1)
        return value

    @orchestration
    async def wide(count: int) -> int:
        return sum(await asyncio.gather(*(slow(value) for value in range(count))))

    await world.worker(wide, slow, activities_max=5, replay_check="never")
    runs = [await world.client.start(wide(20)) for _ in range(5)]

    for run in runs:
        assert await world.result(run) == sum(range(20))
    assert gauge.most == 5
    assert gauge.entered == 100


async def test_each_queue_has_a_limit_of_its_own(world: World) -> None:
    gauges = {"a": Gauge(), "b": Gauge()}

    @activity(queue="a")
    async def in_a() -> None:
        with gauges["a"]:
            await world.clock.sleep(1)

    @activity(queue="b")
    async def in_b() -> None:
        with gauges["b"]:
            await world.clock.sleep(1)

    @orchestration
    async def both() -> None:
        await asyncio.gather(*(in_a() for _ in range(6)), *(in_b() for _ in range(6)))

    await world.worker(both, in_a, in_b, tasks=("a", "b"), activities_max=2)

    await world.result(await world.client.start(both()))

    assert {name: gauge.most for name, gauge in gauges.items()} == {"a": 2, "b": 2}


async def test_no_more_plain_functions_run_at_once_than_there_are_threads(world: World) -> None:
    gauge = Gauge()

    @activity
    def in_thread() -> None:
        with gauge:
            threading.Event().wait(0.002)

    @orchestration
    async def wide() -> None:
        await asyncio.gather(*(in_thread() for _ in range(40)))

    process = await world.worker(wide, in_thread, threads_max=3, replay_check="never")

    await world.result(await world.client.start(wide()))

    assert gauge.entered == 40
    assert gauge.most <= 3
    assert process.worker is not None
    assert process.worker._activities.threads_busy == 0
    assert process.worker._activities._attempts.threads._count <= 3


async def test_what_a_busy_worker_has_no_room_for_is_for_another_one(world: World) -> None:
    """A worker that hoards messages which it cannot work on keeps them from those who could."""
    gauge = Gauge()

    @activity
    async def slow() -> None:
        with gauge:
            await world.clock.sleep(100)

    @orchestration
    async def wide() -> None:
        await asyncio.gather(*(slow() for _ in range(12)))

    await world.worker(wide, slow, activities_max=4)
    await world.worker(slow, activities_max=4, turns=())
    await world.worker(slow, activities_max=4, turns=())
    began = world.clock.monotonic()

    await world.result(await world.client.start(wide()))

    assert gauge.most == 12
    assert world.clock.monotonic() - began < 150
    assert world.dead() == []


async def test_a_message_that_was_received_for_a_place_which_a_turn_took_is_given_back_as_new(world: World) -> None:
    """Received too many is no crash: it must not count as a delivery."""
    gauge = Gauge()

    @activity
    async def slow() -> None:
        with gauge:
            await world.clock.sleep(100)

    @orchestration
    async def one_by_one() -> None:
        await slow()

    process = await world.worker(one_by_one, slow, activities_max=2)
    rival = await world.worker(one_by_one, activities_max=1, tasks=("none",))
    runs = [await world.client.start(one_by_one()) for _ in range(9)]
    await world.pass_seconds(1)
    assert process.worker is not None
    assert rival.worker is not None

    for run in runs:
        await world.result(run)

    assert gauge.most == 2
    assert gauge.entered == 9


async def test_turns_of_different_instances_interleave(world: World) -> None:
    order: list[int] = []

    @activity
    async def note(number: int) -> None:
        order.append(number)

    @orchestration
    async def noting(number: int) -> None:
        for _ in range(3):
            await note(number)

    await world.worker(noting, note)
    runs = [await world.client.start(noting(number)) for number in range(3)]
    for run in runs:
        await world.result(run)

    assert sorted(order) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert order != sorted(order)


async def test_an_instance_never_runs_twice_at_once_in_a_worker(world: World) -> None:
    process = await world.worker(tasks=())
    assert process.worker is not None
    gauge = Gauge()
    carry_out = process.worker._mailboxes._carry_out

    async def watched(key: object, arrivals: object) -> None:
        with gauge:
            await world.clock.sleep(0.01)
            await carry_out(key, arrivals)  # type: ignore[arg-type]

    process.worker._mailboxes._carry_out = watched  # type: ignore[assignment]

    @orchestration
    async def unknown() -> None: ...

    run = await world.client.start(unknown())
    for _ in range(50):
        await run.send(go, 1)
        await world.pass_seconds(0.001)
    await world.pass_seconds(1)

    assert gauge.entered > 1
    assert gauge.most == 1


async def test_outcomes_that_cannot_be_recorded_do_not_pile_up_without_end(world: World) -> None:
    """Activities whose turns cannot be committed stop being begun once as many outcomes wait as run at once."""
    begun: list[int] = []

    @activity
    async def quick() -> None:
        begun.append(1)

    @orchestration
    async def wide() -> None:
        await asyncio.gather(*(quick() for _ in range(100)))

    starter = await world.worker(wide, tasks=())
    run = await world.client.start(wide())
    await world.settle()
    await starter.stop()

    process = await world.process()
    worker = await process.work(wide, quick, activities_max=5, replay_check="never")
    gate = asyncio.Event()
    carry_out = worker._mailboxes._carry_out

    async def held(key: object, arrivals: object) -> None:
        await gate.wait()
        await carry_out(key, arrivals)  # type: ignore[arg-type]

    worker._mailboxes._carry_out = held  # type: ignore[assignment]
    await world.pass_seconds(60)
    assert 5 <= len(begun) <= 10

    gate.set()
    await world.result(run)
    assert len(begun) == 100
