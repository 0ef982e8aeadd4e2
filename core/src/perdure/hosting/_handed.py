"""HandedQueue: a queue as a worker sees it who is called with messages, and may not ask for more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure.spi import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.spi import Clock, Delivery, Envelope, QueueName, SendOutcome, WorkerId

__all__ = ["HandedQueue"]


class HandedQueue(WorkQueue):
    """Gives what was handed over, once; sends and renews through the real queue.

    What is completed is only noted: whoever called the function deletes it when told that all went well. What is given
    back, put aside or never settled is not done, and the caller is told so.

    Args:
        inner: The real queue.
        handed: What the function was called with, by the caller's name for it.
        clock: For waiting.
    """

    def __init__(self, inner: WorkQueue, handed: Mapping[str, Delivery], clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._names = {delivery.receipt: name for name, delivery in handed.items()}
        self._waiting = list(handed.values())
        self._open = set(self._names)
        self._failed: set[str] = set()
        self._never = asyncio.Event()
        self.capabilities = inner.capabilities
        self.settled = asyncio.Event()
        """Set as soon as nothing is left to do."""
        self._note(())

    @property
    def not_done(self) -> list[str]:
        """The caller's names for what must be delivered again."""
        return [name for receipt, name in self._names.items() if receipt in self._open | self._failed]

    def _note(self, settled: Sequence[Delivery], *, failed: bool = False) -> None:
        receipts = {delivery.receipt for delivery in settled} & self._open
        self._open -= receipts
        self._failed |= receipts if failed else set()
        if not self._open:
            self.settled.set()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        """As `WorkQueue.send`."""
        return await self._inner.send(messages)

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        """Give what was handed over of this queue; after that there is nothing, however long one waits."""
        del lease_seconds, worker
        found = [delivery for delivery in self._waiting if delivery.envelope.queue == queue][:limit]
        self._waiting = [delivery for delivery in self._waiting if delivery not in found]
        if not found:
            await self._clock.wait(self._never, wait_seconds)
        return found

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Note what is done."""
        self._note(deliveries)
        return [True for _ in deliveries]

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        """Give messages back through the real queue, for its delay."""
        await self._inner.abandon(deliveries, delay_seconds=delay_seconds)
        self._note(deliveries, failed=True)

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        """As `WorkQueue.renew`."""
        return await self._inner.renew(deliveries, lease_seconds)

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Put messages aside through the real queue; then they are done."""
        await self._inner.dead_letter(deliveries, reason)
        self._note(deliveries)
