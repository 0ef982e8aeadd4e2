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
"""How long it is waited for the others to end, and then, if they do not, how long until it is tried again: nothing new
begins meanwhile, and that may take up half of a worker's time, not all."""
SOON_SECONDS = 2.0
"""About as long as somebody is alone who is not kept waiting."""


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
        self._hopeless_until = 0.0
        self.on_end: Callable[[], object] = lambda: None

    def in_company(self) -> _Company:
        """Be at work; wait first while somebody is alone."""
        return _Company(self)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[float]:
        """From being in company, wait until all others have ended their work, and keep new ones out.

        Yields:
            0 if it came to that; otherwise run nothing now, and come again in so many seconds.
        """
        if self.is_wanted:
            yield SOON_SECONDS
            return
        if (left := self._hopeless_until - self._clock.monotonic()) > 0:
            yield left
            return
        self.is_wanted = True
        self.is_company_welcome.clear()
        try:
            if self.at_work > 1:
                self.is_empty.clear()
                await self._clock.wait(self.is_empty, PATIENCE_SECONDS)
            is_alone = self.at_work <= 1
            if not is_alone:
                self._hopeless_until = self._clock.monotonic() + PATIENCE_SECONDS
            yield 0.0 if is_alone else PATIENCE_SECONDS
        finally:
            self.is_wanted = False
            self.is_company_welcome.set()
            self.on_end()
