"""Running one instance with nothing else in the process: only so can a crash be laid at its door (R15)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from perdure.spi import Clock

__all__ = ["Solitude"]

PATIENCE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.05


class Solitude:
    """Lets one instance at a time have the worker for itself.

    Args:
        clock: The hub's.
        others_at_work: How many instances and activities are in work, the asking one not counted.
    """

    def __init__(self, clock: Clock, others_at_work: Callable[[], int]) -> None:
        self._clock = clock
        self._others_at_work = others_at_work
        self._lock = asyncio.Lock()
        self.is_wanted = False

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[bool]:
        """Stop taking new work and wait until nothing else runs.

        Yields:
            Whether it came to that within a minute; if not, run nothing now.
        """
        if self._lock.locked():
            yield False
            return
        async with self._lock:
            self.is_wanted = True
            try:
                yield await self._is_alone()
            finally:
                self.is_wanted = False

    async def _is_alone(self) -> bool:
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while self._others_at_work() and self._clock.monotonic() < until:
            await self._clock.sleep(LOOK_AGAIN_SECONDS)
        return not self._others_at_work()
