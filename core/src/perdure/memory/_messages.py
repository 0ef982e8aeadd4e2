"""What a `memory:` hub knows of its messages. Nothing here waits, so each call happens as a whole.

A message is either visible or hidden until a time: because it is not due yet, or because somebody holds it. The two
heaps are only hints where to look next; whether a message may be given away is always decided by the message itself.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.memory._waiting import Waiting
from perdure.spi import DeadLetter, Delivery, Envelope, Misuse, QueueCapabilities, QueueName, WorkerId, queue_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.spi import Clock, Key

__all__ = ["Messages", "capabilities_of", "check_envelopes", "check_lease"]


@dataclass(slots=True)
class _Message:
    """One message. It is held while it has a holder and its time to be hidden is not over."""

    number: int
    envelope: Envelope
    hidden_until: float
    holder: WorkerId | None = None
    held_since: float = 0.0
    delivery_count: int = 0

    @property
    def receipt(self) -> str:
        return f"{self.number}/{self.delivery_count}"

    def is_held(self, now: float) -> bool:
        return self.holder is not None and self.hidden_until > now


def capabilities_of(queue: QueueName, capabilities: Mapping[str, QueueCapabilities]) -> QueueCapabilities:
    """Look up what the class of a queue can do.

    Raises:
        Misuse: There is no such class.
    """
    found = capabilities.get(queue_class(queue))
    if found is None:
        raise Misuse(
            f"{queue!r} is of no class of queues that memory: has; begin its name with {' or '.join(capabilities)}."
        )
    return found


def check_envelopes(envelopes: Sequence[Envelope], capabilities: Mapping[str, QueueCapabilities], now: float) -> None:
    """Refuse messages that are over a limit, before anything is sent.

    Args:
        envelopes: What is to be sent.
        capabilities: By class of queue.
        now: Wall time.

    Raises:
        Misuse: The message names the value and the limit.
    """
    for envelope in envelopes:
        limits = capabilities_of(envelope.queue, capabilities)
        if len(envelope.body) > limits.body_bytes_max:
            raise Misuse(
                f"Message {envelope.message_id!r}: a body has at most body_bytes_max={limits.body_bytes_max} bytes, "
                f"this one has {len(envelope.body)}: put what is large out of line."
            )
        if envelope.not_before - now > limits.delay_seconds_max:
            raise Misuse(
                f"Message {envelope.message_id!r}: it can be held back for at most "
                f"delay_seconds_max={limits.delay_seconds_max} seconds, "
                f"not {envelope.not_before - now}: send it in hops."
            )


def check_lease(lease_seconds: float, limits: QueueCapabilities) -> None:
    """Refuse a lease that the class of queues cannot give.

    Raises:
        Misuse: The message names the value and the limit.
    """
    if not 0 < lease_seconds <= limits.lease_seconds_max:
        raise Misuse(
            f"A lease is above 0 and at most lease_seconds_max={limits.lease_seconds_max} seconds, not {lease_seconds}."
        )


class _Queue:
    """The messages of one queue."""

    def __init__(self) -> None:
        self.messages: dict[int, _Message] = {}
        self.dead: dict[int, DeadLetter] = {}
        self._visible: list[int] = []
        self._hidden: list[tuple[float, int]] = []
        self._held_groups: dict[Key, set[int]] = {}

    def show_at(self, message: _Message, time: float) -> None:
        """Hide a message until a time, which may be over."""
        message.hidden_until = time
        heapq.heappush(self._hidden, (time, message.number))

    def next_change(self) -> float | None:
        """Tell when a hidden message may become visible; None if none is hidden."""
        return self._hidden[0][0] if self._hidden else None

    def take(
        self, count: int, now: float, worker: WorkerId, lease_seconds: float, limits: QueueCapabilities
    ) -> list[_Message]:
        """Give up to `count` messages to a worker, oldest first, and bury those that came too often."""
        self._uncover(now)
        taken: list[_Message] = []
        blocked: list[int] = []
        while self._visible and len(taken) < count:
            message = self.messages.get(heapq.heappop(self._visible))
            if message is None or message.hidden_until > now:
                continue
            if message.delivery_count >= limits.deliveries_max:
                self.bury(message, f"Delivered {message.delivery_count} times and never completed.")
            elif limits.exclusive_groups and self._is_group_taken(message.envelope.group, worker):
                blocked.append(message.number)
            else:
                self.hold(message, now, worker, lease_seconds)
                taken.append(message)
        for number in blocked:
            heapq.heappush(self._visible, number)
        return taken

    def hold(self, message: _Message, now: float, worker: WorkerId, lease_seconds: float) -> None:
        """Give a message to a worker."""
        message.holder = worker
        message.held_since = now
        message.delivery_count += 1
        self._held_groups.setdefault(message.envelope.group, set()).add(message.number)
        self.show_at(message, now + lease_seconds)

    def let_go(self, message: _Message) -> None:
        """Take a message from its holder."""
        message.holder = None
        held = self._held_groups.get(message.envelope.group, set())
        held.discard(message.number)
        if not held:
            self._held_groups.pop(message.envelope.group, None)

    def remove(self, message: _Message) -> None:
        """Forget a message."""
        self.let_go(message)
        del self.messages[message.number]

    def bury(self, message: _Message, reason: str) -> None:
        """Put a message to the dead letters."""
        self.remove(message)
        self.dead[message.number] = DeadLetter(
            envelope=message.envelope,
            reason=reason,
            delivery_count=message.delivery_count,
            receipt=str(message.number),
        )

    def _is_group_taken(self, group: Key, worker: WorkerId) -> bool:
        """Tell whether another worker holds a message of the group."""
        return any(self.messages[number].holder != worker for number in self._held_groups.get(group, ()))

    def _uncover(self, now: float) -> None:
        while self._hidden and self._hidden[0][0] <= now:
            message = self.messages.get(heapq.heappop(self._hidden)[1])
            if message is not None and message.hidden_until <= now:
                self.let_go(message)
                heapq.heappush(self._visible, message.number)


class Messages:
    """Every message of one hub. All times are on the monotonic clock of the hub."""

    def __init__(self, clock: Clock) -> None:
        self.changes = Waiting()
        self._clock = clock
        self._queues: dict[QueueName, _Queue] = {}
        self._numbers = itertools.count(1)
        self._last_receivers: dict[QueueName, WorkerId] = {}

    def send(self, envelopes: Sequence[Envelope]) -> list[int]:
        """Add checked messages and tell their numbers."""
        return [self._add(envelope, max(0.0, envelope.not_before - self._clock.now())) for envelope in envelopes]

    def receive(
        self, queue: QueueName, limit: int, lease_seconds: float, worker: WorkerId, limits: QueueCapabilities
    ) -> list[Delivery]:
        """Lease up to `limit` messages to a worker; `lease_until` is on the hub's clock."""
        now = self._clock.monotonic()
        taken = self._queue(queue).take(limit, now, worker, lease_seconds, limits)
        if taken:
            self._last_receivers[queue] = worker
        return [_delivery(message) for message in taken]

    def last_receiver(self, queue: QueueName) -> WorkerId | None:
        """Tell who was the last to receive something from a queue; None if nobody was."""
        return self._last_receivers.get(queue)

    def claim(self, number: int, queue: QueueName, lease_seconds: float, worker: WorkerId) -> Delivery | None:
        """Lease a message that was just sent; None if it is not due yet."""
        now = self._clock.monotonic()
        message = self._queue(queue).messages[number]
        if message.hidden_until > now:
            return None
        self._queue(queue).hold(message, now, worker, lease_seconds)
        return _delivery(message)

    def seconds_to_next_change(self, queue: QueueName) -> float | None:
        """Tell how long until a message may become visible by itself; None if none is hidden."""
        change = self._queue(queue).next_change()
        return None if change is None else change - self._clock.monotonic()

    def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Delete messages that are held under these receipts; tell for each whether it was."""
        answers: list[bool] = []
        for delivery in deliveries:
            held = self._held(delivery)
            if held is not None:
                self._queue(delivery.envelope.queue).remove(held)
                self.changes.wake(delivery.envelope.queue)  # Its group is free.
            answers.append(held is not None)
        return answers

    def renew(self, delivery: Delivery, lease_seconds: float, lease_total_seconds_max: float) -> bool:
        """Hide a held message for longer; tell whether it was held."""
        held = self._held(delivery)
        if held is not None:
            until = min(self._clock.monotonic() + lease_seconds, held.held_since + lease_total_seconds_max)
            self._queue(delivery.envelope.queue).show_at(held, until)
        return held is not None

    def abandon(self, delivery: Delivery, delay_seconds: float) -> None:
        """Give back a message that is held under this receipt."""
        held = self._held(delivery)
        if held is not None:
            queue = self._queue(delivery.envelope.queue)
            queue.let_go(held)
            queue.show_at(held, self._clock.monotonic() + delay_seconds)
            self.changes.wake(delivery.envelope.queue)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put a message that is held under this receipt aside."""
        held = self._held(delivery)
        if held is not None:
            self._queue(delivery.envelope.queue).bury(held, reason)
            self.changes.wake(delivery.envelope.queue)

    def peek_dead_letters(self, queue: QueueName, limit: int) -> list[DeadLetter]:
        """List dead letters, oldest first."""
        return list(itertools.islice(self._queue(queue).dead.values(), limit))

    def drop(self, letter: DeadLetter) -> bool:
        """Delete a dead letter; tell whether it was there."""
        return self._queue(letter.envelope.queue).dead.pop(int(letter.receipt), None) is not None

    def redrive(self, letter: DeadLetter) -> bool:
        """Send a dead letter again as a new message; tell whether it was there."""
        was_there = self.drop(letter)
        if was_there:
            self._add(letter.envelope, 0.0)
        return was_there

    def _queue(self, name: QueueName) -> _Queue:
        return self._queues.setdefault(name, _Queue())

    def _add(self, envelope: Envelope, delay_seconds: float) -> int:
        queue = self._queue(envelope.queue)
        message = _Message(number=next(self._numbers), envelope=envelope, hidden_until=0.0)
        queue.messages[message.number] = message
        queue.show_at(message, self._clock.monotonic() + delay_seconds)
        self.changes.wake(envelope.queue)
        return message.number

    def _held(self, delivery: Delivery) -> _Message | None:
        """Find the message that a receipt speaks of, if it is still held under it."""
        number = int(delivery.receipt.partition("/")[0])
        message = self._queue(delivery.envelope.queue).messages.get(number)
        if message is None or message.receipt != delivery.receipt or not message.is_held(self._clock.monotonic()):
            return None
        return message


def _delivery(message: _Message) -> Delivery:
    return Delivery(
        envelope=message.envelope,
        receipt=message.receipt,
        delivery_count=message.delivery_count,
        lease_until=message.hidden_until,
    )
