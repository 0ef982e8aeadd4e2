"""ManualClock and SeededEntropy: time and chance as a test wants them."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Misuse
from perdure.testing import ManualClock, SeededEntropy


def test_a_clock_starts_where_it_is_told_to() -> None:
    clock = ManualClock(now=1000.0, monotonic=50.0)

    assert (clock.now(), clock.monotonic()) == (1000.0, 50.0)


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(now=1000.0)
    await asyncio.sleep(0.01)

    assert (clock.now(), clock.monotonic()) == (1000.0, 0.0)
    await clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (1002.5, 2.5)


async def test_a_wait_ends_when_its_time_has_come_and_not_earlier() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), 10))

    await clock.advance(9.999)
    assert not waiting.done()
    await clock.advance(0.001)

    assert await waiting is False


async def test_a_wait_ends_when_its_event_is_set() -> None:
    clock, event = ManualClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, 10))
    await clock.advance(1)

    event.set()
    await clock.advance(0)

    assert waiting.done()
    assert await waiting is True
    assert event.is_set()


async def test_a_wait_for_an_event_that_is_set_or_for_no_time_looks_once() -> None:
    clock, event = ManualClock(), asyncio.Event()

    assert await clock.wait(event, 0) is False
    assert await clock.wait(event, -1) is False
    event.set()
    assert await clock.wait(event, 10) is True


async def test_an_event_set_in_the_moment_of_the_timeout_counts() -> None:
    """Whoever waits must not believe that nothing came."""
    clock, event = ManualClock(), asyncio.Event()

    async def set_it() -> None:
        await clock.sleep(10)
        event.set()

    setting = asyncio.create_task(set_it())
    waiting = asyncio.create_task(clock.wait(event, 10))

    await clock.advance(10)

    assert await waiting is True
    await setting


async def test_waiters_wake_in_the_order_of_their_times() -> None:
    clock = ManualClock(monotonic=0)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleep(name, seconds)) for name, seconds in [("c", 3), ("a", 1), ("b", 2), ("a2", 1)]]
    await clock.advance(10)
    await asyncio.gather(*tasks)

    assert woken == [("a", 1.0), ("a2", 1.0), ("b", 2.0), ("c", 3.0)]


async def test_what_a_waiter_sets_going_runs_before_time_moves_on() -> None:
    """A worker that wakes at 1 and waits again until 1.5 is woken at 1.5, in one advance over both."""
    clock = ManualClock()
    times: list[float] = []

    async def tick() -> None:
        for _ in range(5):
            await clock.sleep(0.5)
            await asyncio.create_task(asyncio.sleep(0))
            times.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.advance(10)

    assert times == [0.5, 1.0, 1.5, 2.0, 2.5]
    await task


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1 / 3, 1e-7, 12345.678, 86_400.1])
async def test_what_is_due_at_now_plus_x_is_due_after_advancing_by_x(seconds: float) -> None:
    """Sums of floats are not exact; a timer that misses its own time by a bit would never fire."""
    clock = ManualClock()

    for _ in range(50):
        due = clock.now() + seconds
        waiting = asyncio.create_task(clock.wait(asyncio.Event(), due - clock.now()))
        await clock.advance(seconds)
        assert waiting.done()
        assert clock.now() >= due
        assert clock.now() - due < 1e-5


async def test_a_cancelled_wait_is_forgotten() -> None:
    clock = ManualClock()
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), 10))
    await clock.advance(0)

    waiting.cancel()
    await clock.advance(20)

    assert waiting.cancelled()


async def test_waits_that_ended_early_take_no_room() -> None:
    """A worker waits an hour for messages that come every millisecond."""
    clock = ManualClock()
    for _ in range(1000):
        event = asyncio.Event()
        waiting = asyncio.create_task(clock.wait(event, 3600))
        await asyncio.sleep(0)
        event.set()
        assert await waiting

    assert len(clock._due) < 100


async def test_time_does_not_go_back() -> None:
    with pytest.raises(Misuse, match="not -1"):
        await ManualClock().advance(-1)


async def test_one_task_at_a_time_advances_a_clock() -> None:
    """Two would each wait for the other to come to rest."""
    clock = ManualClock()
    outcomes = await asyncio.gather(clock.advance(1), clock.advance(1), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [type(None), Misuse]
    await clock.advance(1)
    assert clock.monotonic() == 2.0


async def test_a_task_that_never_rests_is_told_of() -> None:
    clock = ManualClock()

    async def spin() -> None:
        while True:
            await clock.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(Misuse, match="still busy"):
        await clock.advance(1)
    task.cancel()


def test_entropy_repeats_with_its_seed() -> None:
    one, same, other = SeededEntropy(7), SeededEntropy(7), SeededEntropy(8)

    first = one.random_bytes(10)
    assert same.random_bytes(10) == first
    assert one.random_bytes(10) == same.random_bytes(10) != first
    assert other.random_bytes(10) != first
    assert one.random_bytes(0) == b""
