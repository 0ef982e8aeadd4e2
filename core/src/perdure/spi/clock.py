"""Time and randomness, as arguments: a hub has one of each, and everything in it asks them.

Real ones for use, virtual ones for tests and simulation. No provider calls `time` or `random` itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod

__all__ = ["Clock", "Entropy", "SystemClock", "SystemEntropy"]


class Clock(ABC):
    """What time it is, and waiting."""

    @abstractmethod
    def now(self) -> float:
        """Return wall time in seconds since the epoch. It may jump; never decide a lease by it (R14)."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds that only ever grow, from an arbitrary start, within this process."""

    @abstractmethod
    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set, at most `seconds`.

        Args:
            event: What to wait for; it is not cleared.
            seconds: 0 or more; 0 looks once.

        Returns:
            Whether the event is set.
        """

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; 0 or less lets others run once."""
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            await self.wait(asyncio.Event(), seconds)


class SystemClock(Clock):
    """The machine's clock."""

    # The functions themselves: they are asked some ten times for each step.
    now = staticmethod(time.time)  # pyright: ignore[reportAssignmentType]
    monotonic = staticmethod(time.monotonic)  # pyright: ignore[reportAssignmentType]

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set() or seconds <= 0:
            return event.is_set()
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True


class Entropy(ABC):
    """Where new ids come from."""

    @abstractmethod
    def random_bytes(self, count: int) -> bytes:
        """Return `count` unpredictable bytes (in tests: seeded ones)."""


class SystemEntropy(Entropy):
    """The operating system's randomness."""

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)
