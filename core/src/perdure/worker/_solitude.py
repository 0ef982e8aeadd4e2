"""Running one instance with nothing else in the process: only so can a crash be laid at its door (R15)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from perdure.spi import Clock

__all__ = ["Solitude"]

PATIENCE_SECONDS = 60.0


class Solitude:
    """Everything at work in a worker is here, in company or, one at a time, alone.

    Attributes:
        is_wanted: Whether somebody is alone or waits to be: nothing new begins then.
        on_end: Called when that is over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_work = 0
        self._is_company_welcome = asyncio.Event()
        self._is_empty = asyncio.Event()
        self.is_wanted = False
        self.on_end: Callable[[], object] = lambda: None

    @asynccontextmanager
    async def in_company(self) -> AsyncGenerator[None]:
        """Be at work; wait first while somebody is alone."""
        while self.is_wanted:
            await self._is_company_welcome.wait()
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1
            if self._at_work <= 1:
                self._is_empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[bool]:
        """From being in company, wait until all others have ended their work, and keep new ones out.

        Yields:
            Whether it came to that within a minute; if not, run nothing now.
        """
        if self.is_wanted:
            yield False
            return
        self.is_wanted = True
        self._is_company_welcome.clear()
        try:
            if self._at_work > 1:
                self._is_empty.clear()
                await self._clock.wait(self._is_empty, PATIENCE_SECONDS)
            yield self._at_work <= 1
        finally:
            self.is_wanted = False
            self._is_company_welcome.set()
            self.on_end()
