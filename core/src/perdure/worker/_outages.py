"""Outlasting a hub that does not answer: nothing is given back, for waiting is not the messages' fault (R15)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from perdure.errors import Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.spi import Clock

__all__ = ["Outages"]

logger = logging.getLogger("perdure.worker")

T = TypeVar("T")

FIRST_SECONDS = 0.5
MAX_SECONDS = 30.0


class Outages:
    """Makes calls to the hub until they are answered.

    Attributes:
        give_up: Set once the worker stops: then a call that is not answered is made no more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.give_up = asyncio.Event()

    async def outlast(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call, again and again while the hub gives no answer, after waits that grow to half a minute.

        Args:
            what: For the log: which instance or queue.
            call: Reads before it decides, for the one before it may have had its effect (R4).

        Raises:
            Unavailable: The worker stops. What was held comes again when its leases end.
            Unknown: Likewise.
        """
        delay = FIRST_SECONDS
        while True:
            try:
                return await call()
            except (Unavailable, Unknown) as problem:
                if self.give_up.is_set():
                    raise
                logger.warning("%s: no answer from the hub, trying again in %g s: %s", what, delay, problem)
            await self._clock.wait(self.give_up, delay)
            delay = min(delay * 2, MAX_SECONDS)
