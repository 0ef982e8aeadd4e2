"""Keeps what this worker holds: renews leases until the message is completed or given back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from perdure.errors import Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure.spi import Clock, Delivery, WorkQueue

__all__ = ["Leases"]

logger = logging.getLogger("perdure.worker")


class Leases:
    """The deliveries that this worker works on.

    Renewed in one batch, three times per lease, so that two answers may be lost. Leases are judged by the monotonic
    clock alone (R14).
    """

    def __init__(self, queue: WorkQueue, clock: Clock, lease_seconds: float) -> None:
        self._queue = queue
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._held: dict[str, tuple[Delivery, float, Callable[[], object] | None]] = {}

    def hold(self, delivery: Delivery, *, on_lost: Callable[[], object] | None = None) -> None:
        """Keep a delivery until it is let go; `on_lost` is called if somebody else may have it."""
        self._held[delivery.receipt] = (delivery, delivery.lease_until, on_lost)

    def let_go(self, deliveries: Iterable[Delivery]) -> None:
        """Stop keeping deliveries: they are completed or given back."""
        for delivery in deliveries:
            self._held.pop(delivery.receipt, None)

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
        due = [held for held in self._held.values() if held[1] <= soon]
        if not due:
            return
        asked_at = self._clock.monotonic()
        kept = await self._queue.renew([delivery for delivery, _, _ in due], self._lease_seconds)
        for (delivery, _, on_lost), still_mine in zip(due, kept, strict=True):
            if delivery.receipt not in self._held:
                continue  # let go while the answer was under way
            if still_mine:
                self._held[delivery.receipt] = (delivery, asked_at + self._lease_seconds, on_lost)
            else:
                del self._held[delivery.receipt]
                self._lost(delivery, on_lost)

    @staticmethod
    def _lost(delivery: Delivery, on_lost: Callable[[], object] | None) -> None:
        logger.warning(
            "The lease of %s (%s) ended before its work did; another worker may have it.",
            delivery.envelope.message_id,
            delivery.envelope.group,
        )
        if on_lost is not None:
            asyncio.get_running_loop().call_soon(on_lost)
