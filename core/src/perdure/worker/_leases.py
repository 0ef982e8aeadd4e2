"""Keeps what this worker holds: renews leases until the message is completed or given back."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from perdure.errors import Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.spi import Clock, Delivery, QueueName, WorkQueue

__all__ = ["Leases"]

logger = logging.getLogger("perdure.worker")


_Handle = tuple[str, str]


def _handle(delivery: Delivery) -> _Handle:
    return delivery.envelope.queue, delivery.receipt


class Leases:
    """The deliveries that this worker works on.

    Renewed in one batch, three times per lease, so that two answers may be lost. Leases are judged by the monotonic
    clock alone (R14).
    """

    def __init__(self, queue: WorkQueue, clock: Clock, lease_seconds: float) -> None:
        self._queue = queue
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._held: dict[_Handle, tuple[Delivery, float, Callable[[], object] | None]] = {}
        self._by_queue: Counter[QueueName] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    def count(self, queue: QueueName) -> int:
        """Count the deliveries of a queue that are held."""
        return self._by_queue[queue]

    def hold(self, delivery: Delivery, *, on_lost: Callable[[], object] | None = None) -> None:
        """Keep a delivery until it is let go; `on_lost` is called if somebody else may have it.

        Again for one that is held: only `on_lost` is replaced.
        """
        held = self._held.get(_handle(delivery))
        if held is None:
            self._by_queue[delivery.envelope.queue] += 1
        self._held[_handle(delivery)] = (delivery, delivery.lease_until if held is None else held[1], on_lost)

    def let_go(self, deliveries: Iterable[Delivery]) -> None:
        """Stop keeping deliveries: they are completed or given back. Those not held are passed over."""
        for delivery in deliveries:
            if self._held.pop(_handle(delivery), None) is not None:
                self._by_queue[delivery.envelope.queue] -= 1

    async def keep(self) -> None:
        """Renew for ever; cancel to stop."""
        while True:
            await self._clock.sleep(self._lease_seconds / 6)
            try:
                await self._renew_due()
            except (Unavailable, Unknown) as problem:
                logger.warning("Leases could not be renewed, trying again: %s", problem)

    async def _renew_due(self) -> None:
        soon = self._clock.monotonic() + self._lease_seconds * 2 / 3
        due = [delivery for delivery, until, _ in self._held.values() if until <= soon]
        if not due:
            return
        asked_at = self._clock.monotonic()
        kept = await self._queue.renew(due, self._lease_seconds)
        for delivery, still_mine in zip(due, kept, strict=True):
            held = self._held.get(_handle(delivery))
            if held is None:
                continue  # let go while the answer was under way
            if still_mine:
                self._held[_handle(delivery)] = (delivery, asked_at + self._lease_seconds, held[2])
            else:
                self.let_go([delivery])
                self._lost(delivery, held[2])

    @staticmethod
    def _lost(delivery: Delivery, on_lost: Callable[[], object] | None) -> None:
        logger.warning(
            "The lease of %s (%s) ended before its work did; another worker may have it.",
            delivery.envelope.message_id,
            delivery.envelope.group,
        )
        if on_lost is not None:
            asyncio.get_running_loop().call_soon(on_lost)
