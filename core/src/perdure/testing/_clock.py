"""Time that moves only when a test says so, and randomness that repeats."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
from typing import TYPE_CHECKING

from perdure.spi import Clock, Entropy, Misuse

if TYPE_CHECKING:
    from collections.abc import Sized

__all__ = ["ManualClock", "SeededEntropy"]

START = 1_700_000_000.0
GRAINS_PER_SECOND = 2**20
"""Time moves in whole grains, which a float holds exactly, so that a wait until `now() + x` ends at `now() + x`."""

ROUNDS_MAX = 100_000
QUIET_ROUNDS = 3
"""A round without anything ready may be followed by one with what a thread or a socket handed in meanwhile."""

QUIET_ROUNDS_BLIND = 100


class ManualClock(Clock):
    """A clock that stands still until `advance` is awaited.

    Every time is rounded up to a whole 2**-20 seconds (about a microsecond). For one event loop at a time.

    Args:
        now: Wall time at the start, in seconds since the epoch.
        monotonic: Where the monotonic clock starts, in seconds; 0 or more.
    """

    def __init__(self, now: float = START, monotonic: float = 0.0) -> None:
        self._wall_start = _whole_grains(now)
        self._monotonic_start = _whole_grains(monotonic)
        self._elapsed = 0.0
        self._is_moving = False
        self._numbers = itertools.count()
        self._due: list[tuple[float, int]] = []
        self._waiting: dict[int, asyncio.Timeout] = {}

    def now(self) -> float:
        """Return wall time in seconds since the epoch."""
        return self._wall_start + self._elapsed

    def monotonic(self) -> float:
        """Return seconds since the arbitrary start."""
        return self._monotonic_start + self._elapsed

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `advance` has moved time by `seconds`."""
        if event.is_set() or seconds <= 0:
            return event.is_set()
        number = next(self._numbers)
        try:
            async with asyncio.timeout(None) as patience:
                heapq.heappush(self._due, (self._elapsed + seconds, number))
                self._waiting[number] = patience
                await event.wait()
        except TimeoutError:
            return event.is_set()
        finally:
            self._forget(number)
        return True

    async def advance(self, seconds: float) -> None:
        """Move time forward and let everything run that it wakes.

        Waiters wake in the order of their times; before time moves on, each runs until it waits again, with all that
        it has set going. Work in threads is not waited for.

        Args:
            seconds: 0 or more; 0 lets run what is ready and moves nothing.

        Raises:
            Misuse: `seconds` is negative, another task is advancing the clock, or a task never comes to rest; the
                message says what to change.
        """
        if seconds < 0:
            raise Misuse(f"Time does not go back: advance by 0 or more seconds, not {seconds}.")
        if self._is_moving:
            raise Misuse("Another task is advancing this clock: let one task of the test do it.")
        self._is_moving = True
        try:
            await self._move_to(_whole_grains(self._elapsed + seconds))
        finally:
            self._is_moving = False

    async def _move_to(self, goal: float) -> None:
        await _come_to_rest()
        while self._due and self._due[0][0] <= goal:
            self._elapsed = max(self._elapsed, _whole_grains(self._due[0][0]))
            self._wake_due()
            await _come_to_rest()
        self._elapsed = max(self._elapsed, goal)

    def _wake_due(self) -> None:
        while self._due and self._due[0][0] <= self._elapsed:
            patience = self._waiting.pop(heapq.heappop(self._due)[1], None)
            if patience is not None:
                patience.reschedule(-math.inf)  # In the past: the wait ends as a real one whose time is over.

    def _forget(self, number: int) -> None:
        """Drop a wait that is over, and now and then the times of all that ended early: a long test makes many."""
        self._waiting.pop(number, None)
        if len(self._due) > 64 + 2 * len(self._waiting):
            self._due = [entry for entry in self._due if entry[1] in self._waiting]
            heapq.heapify(self._due)


class SeededEntropy(Entropy):
    """Randomness that is the same in every run.

    Args:
        seed: Equal seeds give equal bytes.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable is what it is for

    def random_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes of the sequence."""
        return self._random.randbytes(count)


def _whole_grains(seconds: float) -> float:
    return math.ceil(seconds * GRAINS_PER_SECOND) / GRAINS_PER_SECOND


async def _come_to_rest() -> None:
    """Let other tasks run until none is ready."""
    # asyncio offers no way to ask this. On a loop that is not its own, many rounds have to be enough.
    ready: Sized | None = getattr(asyncio.get_running_loop(), "_ready", None)
    enough = QUIET_ROUNDS if ready is not None else QUIET_ROUNDS_BLIND
    quiet_rounds = 0
    for _ in range(ROUNDS_MAX):
        await asyncio.sleep(0)
        quiet_rounds = 0 if ready else quiet_rounds + 1
        if quiet_rounds >= enough:
            return
    raise Misuse(
        f"A task is still busy after {ROUNDS_MAX:,} rounds of the event loop, so time cannot move: "
        "make it wait for something instead of sleeping 0 seconds in a loop."
    )
