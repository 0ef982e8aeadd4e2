"""SystemClock and SystemEntropy: the real ones."""

from __future__ import annotations

import asyncio
import time

from perdure.spi import SystemClock, SystemEntropy


async def test_it_tells_the_machines_time() -> None:
    clock = SystemClock()

    assert time.time() - 60 < clock.now() <= time.time()
    assert time.monotonic() - 60 < clock.monotonic() <= time.monotonic()


async def test_a_wait_ends_when_its_event_is_set() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)

    assert await SystemClock().wait(event, 60) is True
    assert event.is_set()


async def test_a_wait_ends_when_its_time_is_over() -> None:
    assert await SystemClock().wait(asyncio.Event(), 0.01) is False


async def test_a_wait_for_no_time_looks_once() -> None:
    event = asyncio.Event()

    assert await SystemClock().wait(event, 0) is False
    event.set()
    assert await SystemClock().wait(event, 0) is True
    assert await SystemClock().wait(event, 60) is True


async def test_a_sleep_takes_its_time_and_none_lets_others_run() -> None:
    clock, ran = SystemClock(), asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)

    await clock.sleep(0)
    assert ran.is_set()
    begun = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - begun >= 0.01


async def test_a_cancelled_wait_is_cancelled() -> None:
    waiting = asyncio.create_task(SystemClock().wait(asyncio.Event(), 60))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert waiting.cancelled()


def test_entropy_is_as_long_as_asked_and_never_the_same() -> None:
    entropy = SystemEntropy()

    assert [len(entropy.random_bytes(count)) for count in (0, 1, 10)] == [0, 1, 10]
    assert entropy.random_bytes(16) != entropy.random_bytes(16)
