"""What time it is for the broker: locks, schedules and lives of messages go by it; heartbeats do not."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(ABC):
    """Seconds since the epoch that never go back."""

    @abstractmethod
    def now(self) -> float:
        """Return them."""

    @abstractmethod
    def seconds_until(self, when: float) -> float | None:
        """Return how long it takes, 0 or more, until it is that late; None: it does not happen by itself."""


class SystemClock(Clock):
    """Wall time at the start, and from there on the machine's monotonic clock: setting the clock ends no lock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()

    def seconds_until(self, when: float) -> float | None:
        return max(0.0, when - self.now())


class ManualClock(Clock):
    """Moves only when it is told to: by `Emulator.advance`, which also lets happen what is due then.

    Args:
        start: Seconds since the epoch; None: now, so that clients that look at their own clock agree.
    """

    def __init__(self, start: float | None = None) -> None:
        self._now = time.time() if start is None else start

    def now(self) -> float:
        return self._now

    def seconds_until(self, when: float) -> float | None:  # noqa: ARG002 - See Clock.
        return None

    def advance(self, seconds: float) -> None:
        """Move forward, never back."""
        assert seconds >= 0, "Time does not run back."
        self._now += seconds
