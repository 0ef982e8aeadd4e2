"""A turn is bounded, and one that must not be committed never is (R18)."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from _harness import decisions

from perdure import events
from perdure.authoring import Event, activity, orchestration

if TYPE_CHECKING:
    from _harness import World

go: Event[int] = Event("go")

LIMIT = 0.3
"""Seconds of real time; these tests are the ones that must spend some."""


class Switch:
    """Code that misbehaves until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False


def _burn() -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass


async def test_r18_a_turn_that_computes_for_too_long_is_stopped_and_its_instance_stalls(world: World) -> None:
    switch = Switch()

    @orchestration
    async def busy() -> str:
        await go()
        if not switch.is_mended:
            _burn()
        return "done"

    await world.worker(busy, turn_seconds_max=LIMIT)
    run = await world.client.start(busy())
    await run.send(go, 1)
    await world.settle()

    summary = await run.summary()
    assert "overrun" in summary.stalled
    assert "took too long" in summary.stalled
    assert len(world.waiting("turns:default")) == 1

    switch.is_mended = True
    assert await world.result(run) == "done"


async def test_r18_code_that_swallows_the_stop_is_stopped_all_the_same_and_never_committed(world: World) -> None:
    @orchestration
    async def stubborn() -> str:
        for _ in range(3):
            try:
                _burn()
            except BaseException:  # noqa: BLE001 - that is what it is about
                continue
        return "it went well"

    await world.worker(stubborn, turn_seconds_max=LIMIT)
    run = await world.client.start(stubborn())
    await world.settle()

    assert "overrun" in (await run.summary()).stalled
    assert decisions(await world.history(run), events.ExecutionCompleted) == []


async def test_r18_code_that_only_polls_is_told_what_to_do_instead(world: World) -> None:
    @orchestration
    async def polling() -> None:
        done = False

        async def never() -> None:
            nonlocal done
            await go()
            done = True

        task = asyncio.create_task(never())
        while not done:
            await asyncio.sleep(0)
        await task

    await world.worker(polling, replay_check="never")
    run = await world.client.start(polling())
    await world.settle()

    assert "sleep(0)" in (await run.summary()).stalled


async def test_r18_a_hundred_yields_in_a_turn_are_nothing_special(world: World) -> None:
    @orchestration
    async def yielding() -> int:
        for _ in range(100):
            await asyncio.sleep(0)
        return 100

    await world.worker(yielding)

    assert await world.result(await world.client.start(yielding())) == 100


async def test_a_turn_that_touches_the_world_stalls_and_says_what_to_use(world: World) -> None:
    @orchestration
    async def threading_() -> str:
        try:
            await asyncio.to_thread(time.time)
        except BaseException:  # noqa: BLE001 - a turn is marked even if the code swallows it
            return "swallowed"
        return "?"

    await world.worker(threading_)
    run = await world.client.start(threading_())
    await world.settle()

    assert (await run.summary()).status == "Pending"
    assert "not_deterministic" in (await run.summary()).stalled
    assert "test_bounded_turns.py" in (await run.summary()).stalled


async def test_a_turn_that_waits_for_nothing_stalls_as_a_deadlock(world: World) -> None:
    @orchestration
    async def stuck() -> None:
        await asyncio.Event().wait()

    await world.worker(stuck)
    run = await world.client.start(stuck())
    await world.settle()

    assert "deadlock" in (await run.summary()).stalled


async def test_r18_a_neighbour_is_not_hit_by_the_stop_of_another_turn(world: World) -> None:
    @orchestration
    async def busy() -> None:
        _burn()

    @activity
    async def plus_one(value: int) -> int:
        return value + 1

    @orchestration
    async def neighbour() -> int:
        value = 0
        for _ in range(20):
            value = await plus_one(value)
        return value

    await world.worker(busy, neighbour, plus_one, turn_seconds_max=LIMIT)
    bad = [await world.client.start(busy()) for _ in range(3)]
    good = [await world.client.start(neighbour()) for _ in range(10)]

    for run in good:
        assert await world.result(run) == 20
    for run in bad:
        assert "overrun" in (await run.summary()).stalled


async def test_closing_code_whose_cleanup_never_ends_is_bounded_as_well(world: World) -> None:
    """The worker closes code that it does not keep; a `finally` that hangs must not hang the worker."""

    @orchestration
    async def clinging() -> None:
        try:
            await go()
        finally:
            _burn()

    @orchestration
    async def neighbour() -> str:
        return "fine"

    await world.worker(clinging, neighbour, cache_instances=0, turn_seconds_max=LIMIT, replay_check="never")
    run = await world.client.start(clinging())
    await world.settle()

    assert (await run.summary()).status == "Running"
    assert await world.result(await world.client.start(neighbour())) == "fine"


async def test_the_watchdogs_thread_ends_with_its_worker(world: World) -> None:
    @orchestration
    async def quick() -> None: ...

    process = await world.worker(quick, turn_seconds_max=LIMIT)
    await world.result(await world.client.start(quick()))
    assert process.worker is not None
    thread = process.worker._watchdog._thread
    assert thread is not None

    await process.stop()
    thread.join(timeout=30)

    assert not thread.is_alive()
    assert thread not in threading.enumerate()


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
async def test_errors_that_another_try_may_not_meet_stall_and_do_not_fail(
    world: World, error: type[BaseException]
) -> None:
    switch = Switch()

    @orchestration
    async def unlucky() -> str:
        if not switch.is_mended:
            raise error
        return "done"

    await world.worker(unlucky, replay_check="never")
    run = await world.client.start(unlucky())
    await world.settle()
    assert (await run.summary()).stalled

    switch.is_mended = True
    assert await world.result(run) == "done"
