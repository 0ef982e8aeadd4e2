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


class _Company:
    """Being at work beside others. A class, for each turn and each activity passes here."""

    __slots__ = ("_solitude",)

    def __init__(self, solitude: Solitude) -> None:
        self._solitude = solitude

    async def __aenter__(self) -> None:
        solitude = self._solitude
        while solitude.is_wanted:
            await solitude.is_company_welcome.wait()
        solitude.at_work += 1

    async def __aexit__(self, *_: object) -> None:
        solitude = self._solitude
        solitude.at_work -= 1
        if solitude.at_work <= 1:
            solitude.is_empty.set()


class Solitude:
    """Everything at work in a worker is here, in company or, one at a time, alone.

    Attributes:
        is_wanted: Whether somebody is alone or waits to be: nothing new begins then.
        on_end: Called when that is over.
        at_work: How many are.
        is_empty: Set when at most one is at work.
        is_company_welcome: Set when nobody is alone any more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at_work = 0
        self.is_company_welcome = asyncio.Event()
        self.is_empty = asyncio.Event()
        self.is_wanted = False
        self.on_end: Callable[[], object] = lambda: None

    def in_company(self) -> _Company:
        """Be at work; wait first while somebody is alone."""
        return _Company(self)

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
        self.is_company_welcome.clear()
        try:
            if self.at_work > 1:
                self.is_empty.clear()
                await self._clock.wait(self.is_empty, PATIENCE_SECONDS)
            yield self.at_work <= 1
        finally:
            self.is_wanted = False
            self.is_company_welcome.set()
            self.on_end()
