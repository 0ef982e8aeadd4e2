"""WorkQueue: messages that wake workers, and what a queue promises about them.

Queues are named `class:name`: `turns:default` wakes orchestrations (group = instance), `tasks:mail` holds activities.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, NewType

import msgspec

from perdure.errors import PerdureError
from perdure.ids import Key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


__all__ = [
    "DeadLetter",
    "DeadLetters",
    "Delivery",
    "Envelope",
    "PushedMessages",
    "QueueCapabilities",
    "QueueName",
    "SendOutcome",
    "WorkQueue",
    "WorkerId",
    "queue_class",
]

QueueName = NewType("QueueName", str)
"""`turns:{name}` or `tasks:{name}`."""

WorkerId = NewType("WorkerId", str)
"""Who receives: unique per worker, the same for all its receives; stores and queues may use it for affinity."""


@functools.lru_cache(maxsize=1024)
def queue_class(queue: QueueName) -> str:
    """Tell the class of a queue: `turns` or `tasks`."""
    return queue.partition(":")[0]


class QueueCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a class of queues can do, in numbers.

    Attributes:
        body_bytes_max: Largest body; core puts larger content out of line.
        delay_seconds_max: Furthest `not_before` from now that is kept; core hops longer delays (R13).
        lease_seconds_max: Longest lease of one receive or renewal.
        lease_total_seconds_max: Longest time a message can be held by renewing; infinity means for ever.
        deliveries_max: After so many deliveries a message goes to the dead letters.
        send_batch_max: Most messages of one `send`.
        receive_batch_max: Most messages of one `receive`.
        exclusive_groups: Messages of one group are with one holder at a time, in order (Q9).
        detects_lost_lease: `renew` and `complete` of a lost lease report it (Q5).
    """

    body_bytes_max: int
    delay_seconds_max: float
    lease_seconds_max: float
    lease_total_seconds_max: float
    deliveries_max: int
    send_batch_max: int
    receive_batch_max: int
    exclusive_groups: bool
    detects_lost_lease: bool


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message to send.

    Attributes:
        queue: Where to.
        message_id: The sender's name for it, derived from a record (R2). Sending an id again is a second message.
        group: Instance id that it is about.
        body: Opaque bytes.
        not_before: Seconds since the epoch before which it is not received; 0 means at once.
        partition: From `partition_of(group)`: for sticky routing.
    """

    queue: QueueName
    message_id: str
    group: Key
    body: bytes
    not_before: float = 0.0
    partition: int = 0


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A received message: hidden from others until its lease ends, it is abandoned, completed or dead-lettered.

    Attributes:
        envelope: As it was sent.
        receipt: The queue's own handle of this delivery. Opaque.
        delivery_count: 1 for the first delivery.
        lease_until: On the monotonic clock of the process that received it.
    """

    envelope: Envelope
    receipt: str
    delivery_count: int
    lease_until: float


class SendOutcome(msgspec.Struct, frozen=True):
    """What became of one message of a batch: `error` is None if it was sent."""

    message_id: str
    error: PerdureError | None = None


class WorkQueue(ABC):
    """Messages that wake workers.

    Q1  A message whose send returned is received at least once, and again until it is completed or dead-lettered.
    Q2  While a lease is valid the message is not normally given to anyone else (not a safety promise: two holders may
        happen).
    Q3  A message is not received before its `not_before`, up to `delay_seconds_max` of its queue class; core hops
        longer delays.
    Q4  After a lease ends or `abandon`, the message is received again with a higher delivery count, not before the
        asked delay.
    Q5  `renew` makes the lease last at least that long from now, up to `lease_total_seconds_max`; where
        `detects_lost_lease`, renew/complete of a lost lease report it.
    Q6  Id, group, partition and body arrive unchanged up to `body_bytes_max`; one byte more is refused before anything
        is sent.
    Q7  After `deliveries_max` a message is in the dead-letter queue with its reason, where it can be listed, re-driven
        or dropped; never gone.
    Q8  A batch reports per message; a failed one does not hide that others were sent.
    Q9  Queues do not touch each other. Groups: where `exclusive_groups`, messages of one group are with one holder at
        a time, in order.
    Q10 `receive` returns within `wait_seconds` and as soon as there is a message.
    Q11 Sending a message again with the same id is a second message (services' duplicate detection is off, or salted):
        re-sends are never swallowed.
    Not promised: order, exactly once, one holder at a time.

    Every method may raise Unavailable (nothing happened: the same call again, later), is safe to cancel and may be
    called from several tasks at once.
    """

    capabilities: Mapping[str, QueueCapabilities]
    """By class of queue: `turns`, `tasks`."""

    requests: Mapping[str, int] = MappingProxyType({})
    """Requests to the service underneath so far, by its operations; empty where there is none that could cost money."""

    async def open(self) -> None:
        """Get ready. Called once, before anything else. Raises as `HistoryStore.open`."""

    async def aclose(self) -> None:
        """Let go of everything; messages that are held stay leased until their leases end. Twice is allowed."""

    @abstractmethod
    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        """Send messages, durably.

        Args:
            messages: Any number; the queue batches them as it likes.

        Returns:
            One outcome per message, in order.

        Raises:
            Misuse: A body is over the limit or a delay is; nothing was sent.
        """

    @abstractmethod
    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        """Take messages that are due and lease them to this worker.

        Args:
            queue: Where from.
            limit: At most so many; 1 or more. The queue may give fewer.
            lease_seconds: Counted from now; above 0 to `lease_seconds_max`.
            wait_seconds: How long to wait for the first message; 0 looks once.
            worker: Who asks.

        Returns:
            Messages, oldest first as far as the queue can tell; empty if there was none in time.
        """

    @abstractmethod
    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Delete messages that this worker holds.

        Returns:
            One answer per delivery, in order. False: its lease had ended and somebody else may have it.
        """

    @abstractmethod
    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        """Give messages back, to be received again after `delay_seconds`. Those no longer held are passed over.

        Raises:
            Misuse: The delay is negative or over `delay_seconds_max`. Nothing was given back.
        """

    @abstractmethod
    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        """Hide received messages for longer.

        Args:
            deliveries: Messages held by this worker.
            lease_seconds: Counted from now; above 0 to `lease_seconds_max`.

        Returns:
            One answer per delivery, in order. False: the lease had ended; stop the work, another worker may have it.
        """

    @abstractmethod
    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Put messages that this worker holds aside, with the reason."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that was put aside."""

    envelope: Envelope
    reason: str
    delivery_count: int
    receipt: str


class DeadLetters(ABC):
    """What a queue offers for looking after the messages that were put aside (Q7)."""

    @abstractmethod
    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        """List up to `limit` of them, oldest first, without changing anything."""

    @abstractmethod
    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Put them back into their queue, due at once, with a delivery count of 0. False: not there any more."""

    @abstractmethod
    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Delete them for good. False: not there any more."""


class PushedMessages(ABC):
    """What a queue offers whose service can call a function with messages, instead of being asked for them."""

    @abstractmethod
    def pushed(self, event: Mapping[str, Any], queues: Sequence[QueueName]) -> dict[str, Delivery]:
        """Read what a function was called with.

        Args:
            event: As the service gives it.
            queues: Which queues it may be of.

        Returns:
            The messages, each under the name by which the service wants to hear of it.

        Raises:
            Misuse: It is no such event, or of another queue; the message says the mend.
        """
