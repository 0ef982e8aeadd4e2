"""Mailboxes: messages of one instance wait together and are handled by one runner at a time.

Everything that waits when a turn begins becomes its input, so a busy instance takes few turns. Several instances run
side by side; one instance never runs twice in this worker.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.ids import Key
    from perdure.messages import Message
    from perdure.spi import Delivery

__all__ = ["Arrival", "Mailboxes"]

logger = logging.getLogger("perdure.worker")


class Arrival(NamedTuple):
    """A message for an instance, and the delivery that disappears when a turn has recorded it.

    `reply_to` is set for the outcome of an activity that this worker ran: then the delivery is the activity's own
    message (R17), and this is the queue where the outcome would go as a message.
    """

    message: Message
    delivery: Delivery
    reply_to: str = ""

    @property
    def is_local(self) -> bool:
        """Whether no other worker knows of this outcome."""
        return bool(self.reply_to)


class Mailboxes:
    """What waits, by instance, and who is at work.

    Args:
        carry_out: Handles everything that waits for an instance; must outlive its own failures.
        instances_max: Instances in work at the same time, as far as `free` is asked before receiving.
    """

    def __init__(self, carry_out: Callable[[Key, list[Arrival]], Awaitable[None]], *, instances_max: int) -> None:
        self._carry_out = carry_out
        self._instances_max = instances_max
        self._waiting: dict[Key, list[Arrival]] = {}
        self._runners: dict[Key, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more instances may be begun."""
        return self._instances_max - len(self._runners)

    @property
    def busy(self) -> int:
        """How many instances are in work."""
        return len(self._runners)

    def put(self, key: Key, arrival: Arrival) -> None:
        """Add a message; a runner takes it at once, or with its next turn."""
        self._waiting.setdefault(key, []).append(arrival)
        if key not in self._runners:
            self._runners[key] = asyncio.get_running_loop().create_task(self._run(key))

    async def _run(self, key: Key) -> None:
        try:
            while arrivals := self._waiting.pop(key, None):
                await self._carry_out(key, arrivals)
        finally:
            del self._runners[key]
            self._changed.set()

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until a condition holds that changes when a runner ends or when `nudge` is called."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    def nudge(self) -> None:
        """Have those who wait look again."""
        self._changed.set()
