"""What goes wrong between a caller and a store: delays, lost answers, calls that arrive late or are given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.spi import Unavailable, Unknown

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

__all__ = ["Faults", "UnheardError"]

T = TypeVar("T")

SPINS_MAX = 4
"""How many rounds of the loop a call waits on its way, and its answer on the way back."""

LOST, LATE, GIVEN_UP = 0.08, 0.05, 0.05
"""Shares of calls whose answer is lost, that arrive when nobody waits for them, and that are cancelled under way."""


class UnheardError(Exception):
    """No answer came: the call may have its effect, now, later or never."""


class Faults:
    """The way to a store and back.

    Args:
        chance: What decides about each call.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._late: list[asyncio.Task[Any]] = []

    async def carry(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make a call, or some of it.

        Raises:
            UnheardError: Its answer was lost: it may have its effect yet.
        """
        await self._spin()
        fate = self._chance.random()
        if fate < LATE:
            self._late.append(asyncio.create_task(self._arrive_late(call)))
            raise UnheardError
        if fate < LATE + GIVEN_UP:
            await self._give_up(call)
            raise UnheardError
        try:
            answer = await call()
        except (Unknown, Unavailable):
            raise UnheardError from None
        if fate < LATE + GIVEN_UP + LOST:
            raise UnheardError
        await self._spin()
        return answer

    async def settle(self) -> None:
        """Wait for what is still on its way.

        Raises:
            Exception: What a late call failed with, unless it only had no answer.
        """
        for task in self._late:
            await asyncio.wait({task})
            if not isinstance(task.exception(), Unknown | Unavailable | None):
                task.result()

    async def _arrive_late(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        for _ in range(3):
            await self._spin()
        return await call()

    async def _give_up(self, call: Callable[[], Coroutine[Any, Any, T]]) -> None:
        task = asyncio.create_task(call())
        await self._spin()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and not isinstance(task.exception(), Unknown | Unavailable | None):
            task.result()

    async def _spin(self) -> None:
        for _ in range(self._chance.randrange(SPINS_MAX)):
            await asyncio.sleep(0)
