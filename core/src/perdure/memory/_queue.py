"""MemoryQueue: messages in heaps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from perdure.memory._hub import Connection
from perdure.memory._messages import capabilities_of, check_envelopes, check_lease
from perdure.spi import (
    DeadLetter,
    DeadLetters,
    Delivery,
    Envelope,
    Misuse,
    QueueCapabilities,
    QueueName,
    SendOutcome,
    WorkerId,
    WorkQueue,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.memory._messages import Messages
    from perdure.spi import Claim, Environment, Location

__all__ = ["MemoryQueue"]

DAY_SECONDS = 86_400

TASKS = QueueCapabilities(
    body_bytes_max=2**20,
    delay_seconds_max=7 * DAY_SECONDS,
    lease_seconds_max=DAY_SECONDS,
    lease_total_seconds_max=30 * DAY_SECONDS,
    deliveries_max=10,
    send_batch_max=1000,
    receive_batch_max=1000,
    exclusive_groups=False,
    detects_lost_lease=True,
)
TURNS = msgspec.structs.replace(TASKS, exclusive_groups=True)


class MemoryQueue(WorkQueue, DeadLetters):
    """The messages of a `memory:` hub. Kept as long as somebody has the hub open."""

    capabilities: Mapping[str, QueueCapabilities] = {"turns": TURNS, "tasks": TASKS}

    def __init__(self, location: Location, environment: Environment) -> None:
        self._connection = Connection(location, environment.clock)
        self._clock = environment.clock

    @property
    def messages(self) -> Messages:
        """Give what this queue is a door to."""
        return self._connection.hub.messages

    async def open(self) -> None:
        self._connection.open()

    async def aclose(self) -> None:
        self._connection.close()

    def check(self, messages: Sequence[Envelope]) -> None:
        """Raise Misuse if a message is over a limit; nothing is sent here."""
        check_envelopes(messages, self.capabilities, self._clock.now())

    def check_claim(self, claim: Claim) -> None:
        """Raise Misuse if no class of queues can give such a lease."""
        for limits in self.capabilities.values():
            check_lease(claim.lease_seconds, limits)

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        self.check(messages)
        self.messages.send(messages)
        return [SendOutcome(message_id=message.message_id) for message in messages]

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        limits = capabilities_of(queue, self.capabilities)
        if limit < 1:
            raise Misuse(f"Receive at least 1 message from {queue!r}, not {limit}.")
        check_lease(lease_seconds, limits)
        most = min(limit, limits.receive_batch_max)
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            # The event is there before the look: what comes between look and wait sets it.
            with self.messages.changes.change_of(queue) as change:
                found = self.messages.receive(queue, most, lease_seconds, worker, limits)
                patience = deadline - self._clock.monotonic()
                if found or patience <= 0:
                    return [self._on_own_clock(delivery, lease_seconds) for delivery in found]
                next_change = self.messages.seconds_to_next_change(queue)
                await self._clock.wait(change, patience if next_change is None else min(patience, next_change))
            if self.messages.last_receiver(queue) == worker:
                # All who wait are awake now. What this one has passed on, another one may know; it must not come first
                # to everything for nothing but the order in which they fell asleep.
                await asyncio.sleep(0)

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return self.messages.complete(deliveries)

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        for delivery in deliveries:
            most = capabilities_of(delivery.envelope.queue, self.capabilities).delay_seconds_max
            if not 0 <= delay_seconds <= most:
                raise Misuse(f"A delay is 0 to delay_seconds_max={most} seconds, not {delay_seconds}.")
        for delivery in deliveries:
            self.messages.abandon(delivery, delay_seconds)

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        limits = [capabilities_of(delivery.envelope.queue, self.capabilities) for delivery in deliveries]
        for limit in limits:
            check_lease(lease_seconds, limit)
        return [
            self.messages.renew(delivery, lease_seconds, limit.lease_total_seconds_max)
            for delivery, limit in zip(deliveries, limits, strict=True)
        ]

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        for delivery in deliveries:
            self.messages.dead_letter(delivery, reason)

    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        return self.messages.peek_dead_letters(queue, limit)

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return [self.messages.redrive(letter) for letter in letters]

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return [self.messages.drop(letter) for letter in letters]

    def claim(self, numbers: Sequence[int], envelopes: Sequence[Envelope], claim: Claim) -> list[Delivery]:
        """Lease those of the messages just sent that a Step claims, where a lease is free to give.

        Args:
            numbers: What `messages.send` answered.
            envelopes: The same messages, in the same order.
            claim: Which, for whom, and for how long.

        Returns:
            What is held now. Not in it: messages that are not due yet, and those whose group may have earlier ones.
        """
        claimed: list[Delivery] = []
        for number, envelope in zip(numbers, envelopes, strict=True):
            exclusive = capabilities_of(envelope.queue, self.capabilities).exclusive_groups
            if envelope.message_id in claim.message_ids and not exclusive:
                delivery = self.messages.claim(number, envelope.queue, claim.lease_seconds, claim.worker)
                claimed.extend([self._on_own_clock(delivery, claim.lease_seconds)] if delivery else [])
        return claimed

    def _on_own_clock(self, delivery: Delivery, lease_seconds: float) -> Delivery:
        return msgspec.structs.replace(delivery, lease_until=self._clock.monotonic() + lease_seconds)
