"""The messages of a hub, as Q1 to Q11 promise them. Pure: what happened and when comes in as arguments.

A backend in real time answers at some moment between a call's begin and end, so a message is hidden *surely* until one
time and *perhaps* until another. What falls between may go either way, and is taken from the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure.spi import DeadLetter, Delivery, Envelope, QueueCapabilities, QueueName, WorkerId, queue_class
from perdure_conformance.model._histories import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Message", "Messages", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """When a call ran, or when something ends: at some moment between two, on the monotonic clock."""

    began: float
    ended: float

    def later(self, seconds: float) -> Span:
        """Give when `seconds` after it are over."""
        return Span(self.began + seconds, self.ended + seconds)


@dataclass(eq=False, slots=True)
class Message:
    """One message: it cannot be received before `hidden.began`, and can from `hidden.ended` on."""

    envelope: Envelope
    hidden: Span
    count: int = 0
    delivery: Delivery | None = None
    holder: WorkerId | None = None
    since: float = 0.0
    aside: str = ""
    may_be_gone: bool = False

    def let_go(self, hidden: Span) -> None:
        """Take it from its holder."""
        self.delivery, self.holder, self.hidden = None, None, hidden


@dataclass(slots=True)
class Messages:
    """What is in the queues.

    Args:
        capabilities: By class of queue.
        slack_seconds: How much earlier or later than asked a backend may hide or show a message.
    """

    capabilities: Mapping[str, QueueCapabilities]
    slack_seconds: float
    there: list[Message] = field(default_factory=list[Message])
    dead: list[tuple[Message, str]] = field(default_factory=list[tuple[Message, str]])

    def send(self, envelope: Envelope, delay_seconds: float, span: Span) -> None:
        """Add a message (Q1, Q11: each send, whatever its id)."""
        self.there.append(Message(envelope, self._until(span, delay_seconds)))

    def due(self, queue: QueueName, now: float) -> Message | None:
        """Find a message that a receive which begins now has to find; None where it may find nothing."""
        for message in self._of(queue):
            blocked = self._limits(queue).exclusive_groups and any(
                other.hidden.ended > now for other in self._group_of(message)
            )
            if not (blocked or message.may_be_gone or self._is_worn(message)) and message.hidden.ended <= now:
                return message
        return None

    def receive(self, delivery: Delivery, worker: WorkerId, lease_seconds: float, span: Span) -> None:
        """Follow one delivery of a receive's answer.

        Raises:
            Broken: Nobody sent it, it is hidden, put aside, completed, or its group is with another (Q1 to Q4, Q9).
        """
        equal = [m for m in self._of(delivery.envelope.queue) if m.envelope == delivery.envelope]
        counted = [m for m in equal if self._may_count(m, delivery.delivery_count)]
        free = [m for m in counted if m.hidden.began <= span.ended and not self._is_group_taken(m, worker, span)]
        if not free:
            raise Broken(f"{delivery} must not be received at {span}; such messages are {equal}")
        # Of equal ones, the likeliest: counted right, surely visible, oldest (`min` takes the first).
        message = min(free, key=lambda m: (m.count + 1 != delivery.delivery_count, m.hidden.ended > span.began))
        if late := self._earlier_of_group(message, span):
            raise Broken(f"{delivery} was received before one of its group that was sent earlier (Q9): {late}")
        message.count, message.delivery, message.holder = delivery.delivery_count, delivery, worker
        message.since, message.hidden = span.began, self._until(span, lease_seconds)

    def complete(self, delivery: Delivery, span: Span, *, answer: bool) -> None:
        """Follow one answer of a complete."""
        held, message = self._check("complete", delivery, span, answer=answer), self._held(delivery)
        if answer and message is not None and held is not False:
            self.there.remove(message)
        elif answer:
            self._doubt(delivery.envelope)

    def renew(self, delivery: Delivery, lease_seconds: float, span: Span, *, answer: bool) -> None:
        """Follow one answer of a renew: the lease lasts that long from now, but never beyond the longest (Q5)."""
        self._check("renew", delivery, span, answer=answer)
        message = self._held(delivery)
        if answer and message is not None:
            longest = message.since + self._limits(delivery.envelope.queue).lease_total_seconds_max
            until = self._until(span, lease_seconds)
            message.hidden = Span(min(until.began, longest), max(until.ended, message.hidden.ended))

    def abandon(self, delivery: Delivery, delay_seconds: float, span: Span) -> None:
        """Follow an abandon, which has no answer."""
        held, message = self._holds(delivery, span), self._held(delivery)
        until = self._until(span, delay_seconds)
        if message is not None and held is not False:
            message.let_go(until if held else Span(0.0, max(until.ended, message.hidden.ended)))

    def dead_letter(self, delivery: Delivery, reason: str, span: Span) -> None:
        """Follow a dead_letter, which has no answer: where a lease may just have ended, `look` tells what it did."""
        held, message = self._holds(delivery, span), self._held(delivery)
        if message is not None and held:
            self._bury(message, reason)
        elif message is not None and held is None:
            message.aside = reason
        elif not self._limits(delivery.envelope.queue).detects_lost_lease:
            self._doubt(delivery.envelope)

    def look(self, queue: QueueName, letters: Sequence[DeadLetter], now: float) -> None:
        """Compare the dead letters of a queue, and follow those that came there by themselves.

        Raises:
            Broken: One is missing, was never put aside, or has lost its reason (Q7).
        """
        missing = [one for one in self.dead if one[0].envelope.queue == queue]
        for letter in letters:
            mine = [one for one in missing if (one[0].envelope, one[1]) == (letter.envelope, letter.reason)]
            if mine:
                missing.remove(mine[0])
                continue
            worn = [m for m in self._of(queue) if m.envelope == letter.envelope and self._may_be_dead(m, letter, now)]
            if not (worn and letter.reason):
                raise Broken(f"{letter} was never put aside, or not for that reason (Q7)")
            self._bury(worn[0], letter.reason)
        if missing:
            raise Broken(f"{missing} were put aside and are gone (Q7)")

    def worn(self, queue: QueueName, now: float) -> list[Message]:
        """List messages that came as often as they may, and whose last lease is surely over."""
        return [m for m in self._of(queue) if self._is_worn(m) and m.hidden.ended <= now and not m.may_be_gone]

    # ── what it knows ────────────────────────────────────────────────────────────────────────────────────────────

    def _limits(self, queue: QueueName) -> QueueCapabilities:
        return self.capabilities[queue_class(queue)]

    def _until(self, span: Span, seconds: float) -> Span:
        until = span.later(seconds)
        return Span(until.began - self.slack_seconds, until.ended + self.slack_seconds) if seconds else until

    def _of(self, queue: QueueName) -> list[Message]:
        return [message for message in self.there if message.envelope.queue == queue]

    def _group_of(self, message: Message) -> list[Message]:
        group = message.envelope.group
        return [m for m in self._of(message.envelope.queue) if m.envelope.group == group and m is not message]

    def _is_group_taken(self, message: Message, worker: WorkerId, span: Span) -> bool:
        return self._limits(message.envelope.queue).exclusive_groups and any(
            m.holder is not None and m.holder != worker and m.hidden.began > span.ended for m in self._group_of(message)
        )

    def _earlier_of_group(self, message: Message, span: Span) -> list[Message]:
        twins = [m for m in self.there if m.envelope == message.envelope]
        # Of twins, sent under one id, nobody can tell which one came.
        if not self._limits(message.envelope.queue).exclusive_groups or len(twins) > 1:
            return []
        earlier = [m for m in self._group_of(message) if self.there.index(m) < self.there.index(message)]
        return [m for m in earlier if m.hidden.ended <= span.began and not (m.may_be_gone or self._is_worn(m))]

    def _is_worn(self, message: Message) -> bool:
        return message.count >= self._limits(message.envelope.queue).deliveries_max

    def _may_count(self, message: Message, count: int) -> bool:
        """1 at first, then ever more, and never more than `deliveries_max` (Q4, Q7)."""
        most = self._limits(message.envelope.queue).deliveries_max
        return (count == 1 if message.count == 0 else count > message.count) and count <= most

    def _may_be_dead(self, message: Message, letter: DeadLetter, now: float) -> bool:
        by_itself = self._is_worn(message) and message.hidden.began <= now
        return message.count == letter.delivery_count and (by_itself or message.aside == letter.reason)

    def _held(self, delivery: Delivery) -> Message | None:
        return next((message for message in self.there if message.delivery is delivery), None)

    def _holds(self, delivery: Delivery, span: Span) -> bool | None:
        """Tell whether a lease lasts during a call; None: it ends about then."""
        message = self._held(delivery)
        if message is None or message.hidden.ended <= span.began:
            return False
        return True if message.hidden.began > span.ended else None

    def _check(self, call: str, delivery: Delivery, span: Span, *, answer: bool) -> bool | None:
        held = self._holds(delivery, span)
        detects = self._limits(delivery.envelope.queue).detects_lost_lease
        if held is not None and answer != held and (held or detects):
            raise Broken(f"{call} of {delivery} was answered {answer} at {span}, its lease: {held} (Q5)")
        message = self._held(delivery)
        if not answer and message is not None:
            message.let_go(Span(0.0, message.hidden.ended))
        return held

    def _doubt(self, envelope: Envelope) -> None:
        """A lost lease was used, and the queue cannot tell: what became of the message is not promised."""
        for message in self.there:
            message.may_be_gone |= message.envelope == envelope

    def _bury(self, message: Message, reason: str) -> None:
        self.there.remove(message)
        self.dead.append((message, reason))
        message.let_go(Span(math.inf, math.inf))
