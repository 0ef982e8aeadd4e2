"""A turn is bounded, and one that must not be committed never is (R18)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from _harness import decisions, turns

from perdure import events
from perdure.authoring import Event, activity, orchestration
from perdure.worker._watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Generator

    from _harness import World

    from perdure.replay import Execution

go: Event[int] = Event("go")

LIMIT = 0.3
"""Seconds of real time; these tests are the ones that must spend some."""


BURN_SECONDS = 60
"""How long code computes that nobody stops."""


class Switch:
    """Code that misbehaves until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False


def _burn() -> None:
    until = time.monotonic() + BURN_SECONDS
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


class LateWatchdog(Watchdog):
    """A watchdog whose stop comes in the very moment in which the turn is done."""

    is_late = True

    @contextmanager
    def watch(self, execution: Execution) -> Generator[None]:
        with super().watch(execution):
            yield
        execution.overrun_requested = execution.overrun_requested or self.is_late


async def test_r18_a_stop_that_comes_as_the_turn_ends_is_a_stop_and_the_code_does_not_go_on(world: World) -> None:
    """Else the next turn of that code would be stopped, for no reason that anybody could see."""

    @orchestration
    async def quick() -> str:
        return f"{await go()}"

    process = await world.worker(quick, replay_check="never")
    assert process.worker is not None
    carry_out: Any = process.worker._mailboxes._carry_out
    watchdog = LateWatchdog(10)
    carry_out._decide._watchdog = watchdog
    run = await world.client.start(quick())
    await world.settle()
    assert turns(await world.history(run)) == []
    assert len(process.worker._seats) == 0

    watchdog.is_late = False
    await run.send(go, 1)
    assert await world.result(run) == "1"
    watchdog.stop()


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
    began = time.monotonic()
    run = await world.client.start(clinging())
    await world.settle()

    assert (await run.summary()).status == "Running"
    assert await world.result(await world.client.start(neighbour())) == "fine"
    assert time.monotonic() - began < BURN_SECONDS / 2


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


TRACED_AFTER_A_STOP = """
import sys, threading, types
from perdure.replay import TurnOverrun
from perdure.worker import _watchdog

execution = types.SimpleNamespace(overrun_requested=False)
watchdog = _watchdog.Watchdog(10)
with watchdog.watch(execution):
    execution.overrun_requested = True
    if sys.argv[1:] == ["thrown"]:
        try:
            _watchdog._throw_into(threading.get_ident(), TurnOverrun)
            while True:
                pass
        except TurnOverrun:
            pass
watchdog.stop()

def trace(*_):
    return trace

def traced():
    sys.settrace(trace)
    (lambda: None)()

thread = threading.Thread(target=traced, daemon=True)
thread.start()
thread.join(30)
sys.exit(thread.is_alive())
"""


@pytest.mark.parametrize("stop", ["thrown", "under way"])
def test_code_can_be_traced_after_a_stop(stop: str) -> None:
    """CPython 3.11 hangs in each traced function, once an exception for a thread was called back."""
    subprocess.run([sys.executable, "-c", TRACED_AFTER_A_STOP, stop], check=True, timeout=100)
