"""SqliteQueue: messages and their leases in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perdure.spi import (
    DeadLetter,
    DeadLetters,
    Delivery,
    Envelope,
    Misuse,
    QueueName,
    SendOutcome,
    WorkerId,
    WorkQueue,
)
from perdure_local.sqlite._access import Access
from perdure_local.sqlite._limits import QUEUES, check_delay, check_envelopes, check_lease, limits_of
from perdure_local.sqlite._messages import AFFINITY_SECONDS, Order, find_lease_end, find_next, read_dead_letters
from perdure_local.sqlite._wake import FALLBACK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perdure.spi import Environment, Location, QueueCapabilities
    from perdure_local.sqlite._group import Transaction

__all__ = ["SqliteQueue"]

Answer = TypeVar("Answer")

_SWEEP_SECONDS = 0.25
"""How old the knowledge may be of when leases end: those that other processes gave are not known at once."""


class SqliteQueue(WorkQueue, DeadLetters):
    """The queues of a hub in a folder of this machine.

    Args:
        location: `sqlite:FOLDER`; the folder is created where there is none.
        environment: The hub's clock and entropy. The monotonic clock must be the machine's, as `SystemClock` is: leases
            are compared with it between processes. After a reboot it starts again, and leases from before are void.
    """

    capabilities: Mapping[str, QueueCapabilities] = QUEUES

    def __init__(self, location: Location, environment: Environment) -> None:
        self.access = Access(location, environment)
        self._clock = environment.clock
        self._lease_ends: dict[QueueName, tuple[float, float | None]] = {}

    async def open(self) -> None:
        await self.access.open()

    async def aclose(self) -> None:
        await self.access.close()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        check_envelopes(messages, self._clock.now())
        if messages:
            await self.access.database.changes.run(
                lambda transaction: transaction.messages.send(messages, self.access.moment()),
                size=sum(len(message.body) for message in messages),
            )
        return [SendOutcome(message.message_id) for message in messages]

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        del worker  # Affinity is to the process: its workers share one cache.
        check_lease(queue, lease_seconds)
        if limit < 1:
            raise Misuse(f"Receive at least 1 message from {queue!r}, not {limit}.")
        deadline = self._clock.monotonic() + wait_seconds
        # The event is there before the look: what comes between look and wait sets it.
        with self.access.database.queue_change(queue) as change:
            while True:
                change.clear()
                if await self.access.database.bury_the_dead(self._clock.monotonic()):
                    self._lease_ends.clear()
                pause = self._seconds_to_next(queue)
                if pause <= 0:
                    found = await self._take(queue, limit, lease_seconds)
                    if found:
                        return found
                    pause = AFFINITY_SECONDS  # Somebody was faster, or what is there is left to another process.
                patience = deadline - self._clock.monotonic()
                if patience <= 0:
                    return []
                await self._clock.wait(change, min(patience, pause, FALLBACK_SECONDS))

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return await self._with_leases(
            deliveries, lambda transaction: transaction.messages.complete(deliveries, self.access.moment())
        )

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        for delivery in deliveries:
            check_delay(delivery.envelope.queue, delay_seconds)
        await self._with_leases(
            deliveries,
            lambda transaction: transaction.messages.abandon(deliveries, self.access.moment(), delay_seconds),
        )

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        for delivery in deliveries:
            check_lease(delivery.envelope.queue, lease_seconds)
        return await self.access.database.changes.run(
            lambda transaction: transaction.messages.renew(deliveries, self.access.moment(), lease_seconds),
            deliveries=deliveries,
            is_durable=False,
        )

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        await self._with_leases(
            deliveries, lambda transaction: transaction.messages.dead_letter(deliveries, self.access.moment(), reason)
        )

    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        return self.access.database.look(lambda connection: read_dead_letters(connection, queue, limit))

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return await self.access.database.changes.run(
            lambda transaction: transaction.messages.redrive(letters, self.access.moment())
        )

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return await self.access.database.changes.run(lambda transaction: transaction.messages.drop(letters))

    async def _with_leases(self, deliveries: Sequence[Delivery], apply: Callable[[Transaction], Answer]) -> Answer:
        return await self.access.database.changes.run(apply, deliveries=deliveries)

    async def _take(self, queue: QueueName, limit: int, lease_seconds: float) -> list[Delivery]:
        limits = limits_of(queue)
        order = Order(
            queue=queue,
            limit=min(limit, limits.receive_batch_max),
            lease_seconds=lease_seconds,
            nonce=self.access.nonce(),
            deliveries_max=limits.deliveries_max,
            holders=self.access.database.others() if queue.startswith("turns:") else (),
            sweep=self._lease_has_ended(queue),
        )
        return await self.access.database.changes.run(
            lambda transaction: transaction.messages.receive(order, self.access.moment()),
            undo=lambda found: lambda transaction: transaction.messages.abandon(found, self.access.moment(), 0),
            is_durable=False,  # Undone by a power cut, the messages are there again: as they are without it.
        )

    def _seconds_to_next(self, queue: QueueName) -> float:
        """Tell when to look for messages: 0 or less if there are some, else when something is due or a lease ends."""
        ready, due = self.access.database.look(lambda connection: find_next(connection, queue))
        if ready:
            return 0
        at = self.access.moment()
        lease_end = self._find_lease_end(queue, at.monotonic)
        pauses = [due - at.wall] if due is not None else []
        pauses += [lease_end - at.monotonic] if lease_end is not None else []
        return min(pauses, default=FALLBACK_SECONDS)

    def _find_lease_end(self, queue: QueueName, now: float) -> float | None:
        """Look when the first lease ends, unless that was looked up a moment ago and none has ended since."""
        looked_at, end = self._lease_ends.get(queue, (-1.0, None))
        if not looked_at <= now < looked_at + _SWEEP_SECONDS or (end is not None and end <= now):
            end = self.access.database.look(lambda connection: find_lease_end(connection, queue, now))
            self._lease_ends[queue] = (now, end)
        return end

    def _lease_has_ended(self, queue: QueueName) -> bool:
        now = self._clock.monotonic()
        end = self._find_lease_end(queue, now)
        return end is not None and end <= now
