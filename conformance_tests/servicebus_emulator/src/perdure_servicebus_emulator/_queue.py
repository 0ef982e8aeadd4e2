"""One queue: its messages, their locks and lives. No I/O and no timers: who owns it calls `run_due` when it says so.

    sent ──► scheduled ──► active ──► locked ──► completed: gone
                              ▲          ├──► abandoned, lock ended: active again, with a higher delivery count
                              │          ├──► released: active again, as before
                              └──────────┤
                                         ├──► deferred ──► locked, by its sequence number only
                                         └──► dead-lettered: in `dead_letters`, which is a queue like any other

All locks last equally long, and so they stand in the order in which they end. What is different where sessions are
locked, and messages with them, is in `_session_queue`.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, ClassVar

from perdure_servicebus_emulator import _message
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._indexes import Alarms, Duplicates, Line
from perdure_servicebus_emulator._stored import Ledger, Message, Outcome, State, room_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure_servicebus_emulator._clock import Clock
    from perdure_servicebus_emulator._consumer import Consumer
    from perdure_servicebus_emulator._message import Content
    from perdure_servicebus_emulator._settings import Queue
    from perdure_servicebus_emulator._stored import Settlement

__all__ = ["MessageQueue"]

_EXPIRED = ("TTLExpiredException", "The message expired and was dead lettered.")
_TOO_OFTEN = "MaxDeliveryCountExceeded"


class MessageQueue:
    """The messages of one queue, or its dead letters.

    Args:
        settings: How it is set up.
        clock: What time it is.
        on_due: Called with a moment, earlier than any told before, and the queue: `run_due` is to be called then.
        ledger: Of the queue whose dead letters these are.
    """

    lost_condition: ClassVar[str] = Condition.LOCK_LOST

    def __init__(
        self,
        settings: Queue,
        clock: Clock,
        on_due: Callable[[float, MessageQueue], None],
        ledger: Ledger | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._on_due = on_due
        self._told = inf
        self._is_dead_letters = ledger is not None
        self._ledger = ledger or Ledger(settings.size_bytes_max)
        self._messages: dict[int, Message] = {}
        self._locks: OrderedDict[bytes, Message] = OrderedDict()
        self._line = Line()
        self._asking: OrderedDict[Consumer, None] = OrderedDict()
        self._scheduled = Alarms(self._messages)
        self._expiries = Alarms(self._messages)
        self._duplicates = Duplicates(settings.duplicate_window_seconds)
        self.dead_letters: MessageQueue | None = None
        if ledger is None:
            self.dead_letters = MessageQueue(settings.for_dead_letters(), clock, on_due, self._ledger)

    # ── send ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, raws: Sequence[bytes]) -> list[int]:
        """Store messages: all or, if one is refused, none.

        Args:
            raws: Encoded messages. One with a scheduled time waits for it.

        Returns:
            The sequence number of each; 0: the message had been sent before and was dropped.

        Raises:
            Refused: One of them cannot be sent here, or there is no room.
        """
        if self._is_dead_letters:
            raise Refused(Condition.NOT_ALLOWED, "Nothing is sent to a dead-letter queue: send to the queue itself.")
        contents = [_message.read(raw, self.settings.message_bytes_max) for raw in raws]
        for content in contents:
            self._check(content)
        self._ledger.take(sum(room_of(content) for content in contents), queue=self.settings.name)
        now = self._clock.now()
        sequences = [self._store(content, now) for content in contents]
        self.pump()
        return sequences

    def _check(self, content: Content) -> None:
        """Refuse what does not belong here."""

    def _store(self, content: Content, now: float) -> int:
        if self._duplicates.is_known(content.message_id, now):
            self._ledger.give(room_of(content))
            return 0
        message = Message(self._ledger.next_sequence(), content, now)
        self._insert(message)
        due_at = content.scheduled_for
        if due_at is not None and due_at > now:
            message.state, message.due_at = State.SCHEDULED, due_at
            self._scheduled.put(due_at, message.sequence)
            self._tell(due_at)
        else:
            self._activate(message, now)
        return message.sequence

    def cancel(self, sequences: Iterable[int]) -> None:
        """Drop scheduled messages.

        Raises:
            Refused: One of them is not scheduled, or not any more; none is dropped then.
        """
        messages = [self._messages.get(sequence) for sequence in dict.fromkeys(sequences)]
        found = [message for message in messages if message is not None and message.state is State.SCHEDULED]
        if len(found) < len(messages):
            raise Refused(Condition.MESSAGE_NOT_FOUND, "A message is not scheduled, or was enqueued in the meantime.")
        for message in found:
            self._drop(message)

    # ── receive ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, consumer: Consumer) -> None:
        """Let a receiver have messages, after those who asked before.

        Who is not ready when its turn comes is forgotten, and asks again when it is.
        """
        if consumer.is_ready():
            self._asking.setdefault(consumer)
        self.pump()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Forget a receiver. What it holds stays locked until the locks end, as in the service."""
        self._asking.pop(consumer, None)

    def pump(self) -> None:
        """Deliver what can be delivered: messages one by one, receivers in turn."""
        while self._line and (consumer := self._next_ready()) is not None:
            self._deliver_from(self._line, consumer)

    def _next_ready(self) -> Consumer | None:
        while self._asking:
            consumer, _ = self._asking.popitem(last=False)
            if consumer.is_ready():
                self._asking[consumer] = None  # It may take more, when the others have had one.
                return consumer
        return None

    def _deliver_from(self, line: Line, consumer: Consumer) -> None:
        message = self._messages[line.take()]
        now = self._clock.now()
        if message.has_expired(now):
            self._expire(message)
            return
        token = self._take(message, now, keeps_lock=consumer.keeps_lock)
        consumer.deliver(message, token, message.locked_until if consumer.keeps_lock else 0.0)

    def _take(self, message: Message, now: float, *, keeps_lock: bool) -> bytes:
        token = self._ledger.next_token()
        if keeps_lock:
            self._lock(message, token, now)
        else:
            self._drop(message)
        return token

    def receive_deferred(
        self, sequences: Iterable[int], *, keeps_lock: bool, session_id: str | None = None
    ) -> list[tuple[Message, bytes]]:
        """Take messages that were deferred.

        Returns:
            Each with the name of its lock.

        Raises:
            Refused: One of them is not there, is not deferred, or is held; none is taken then.
        """
        now, wanted = self._clock.now(), list(dict.fromkeys(sequences))
        found = [message for sequence in wanted if (message := self._find_deferred(sequence, session_id, now))]
        if len(found) < len(wanted):
            raise Refused(Condition.MESSAGE_NOT_FOUND, f"Not all of the messages {wanted} are deferred here.")
        return [(message, self._take(message, now, keeps_lock=keeps_lock)) for message in found]

    def _find_deferred(self, sequence: int, session_id: str | None, now: float) -> Message | None:
        message = self._messages.get(sequence)
        if message is None or message.state is not State.DEFERRED or message.token is not None:
            return None
        if session_id is not None and message.content.session_id != session_id:
            return None
        if message.has_expired(now):  # Deferred messages expire when they are asked for, not before.
            self._expire(message)
            return None
        return message

    def peek(self, start: int, limit: int, session_id: str | None = None) -> list[Message]:
        """List messages from a sequence number on, in that order, whatever their state; none is locked by it."""
        found = sorted(sequence for sequence in self._messages if sequence >= start)
        messages = (self._messages[sequence] for sequence in found)
        wanted = (message for message in messages if session_id is None or message.content.session_id == session_id)
        return [message for message, _ in zip(wanted, range(limit), strict=False)]

    # ── settle ───────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self, token: bytes, settlement: Settlement) -> None:
        """Carry out what a receiver wants.

        Raises:
            Refused: The lock has ended, or the message was settled before.
        """
        message = self._get_locked(token)
        self._unlock(message)
        if settlement.outcome is not Outcome.COMPLETE:
            message.content.add_texts(settlement.texts)
        self._carry_out(message, settlement.outcome)
        self._pump_for(message)

    def _get_locked(self, token: bytes) -> Message:
        message = self._locks.get(token)
        # A lock that ended a moment ago may still stand here: `run_due` comes after it.
        if message is None or message.locked_until <= self._clock.now():
            raise Refused(
                self.lost_condition,
                "The lock supplied is invalid. Either the lock expired, or the message has already been removed "
                "from the queue.",
            )
        return message

    def _carry_out(self, message: Message, outcome: Outcome) -> None:
        match outcome:
            case Outcome.COMPLETE:
                self._drop(message)
            case Outcome.ABANDON:
                self._abandon(message)
            case Outcome.RELEASE:
                self._give_back(message)
            case Outcome.DEFER:
                message.state = State.DEFERRED
            case Outcome.DEAD_LETTER:
                self._dead_letter(message)

    def _abandon(self, message: Message) -> None:
        message.deliveries += 1
        self._give_back(message)

    def _give_back(self, message: Message) -> None:
        deliveries_max = self.settings.deliveries_max
        if message.deliveries >= deliveries_max and not self._is_dead_letters:
            reason = f"Message could not be consumed after {deliveries_max} delivery attempts."
            self._put_aside(message, _TOO_OFTEN, reason)
        elif message.state is not State.DEFERRED:
            if message.has_expired(self._clock.now()):
                self._expire(message)
            else:
                self._put_in_line(message)

    def _dead_letter(self, message: Message) -> None:
        if self.dead_letters is None:
            self._abandon(message)  # It is there already.
            return
        self._forget(message)
        message.state, message.expires_at = State.ACTIVE, None
        message.dead_letter_source = self.settings.name
        self.dead_letters.take_in(message)

    def take_in(self, message: Message) -> None:
        """Keep a message of the queue whose dead letters these are."""
        self._insert(message)
        self._put_in_line(message)
        self.pump()

    def renew(self, tokens: Sequence[bytes]) -> list[float]:
        """Hold messages for longer, from now on.

        Returns:
            Until when, for each.

        Raises:
            Refused: One of the locks has ended; none is renewed then.
        """
        found, now = [self._get_locked(token) for token in tokens], self._clock.now()
        for token, message in zip(tokens, found, strict=True):
            message.locked_until = now + self.settings.lock_seconds
            self._locks.move_to_end(token)
        return [message.locked_until for message in found]

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, when: float) -> None:
        if when < self._told:
            self._told = when
            self._on_due(when, self)

    def run_due(self) -> None:
        """Let happen what is due: locks end, messages become active or expire."""
        now, self._told = self._clock.now(), inf
        self._end_locks(now)
        for due_at, sequence in self._scheduled.take(now):
            self._enqueue_scheduled(sequence, due_at, now)
        for expires_at, sequence in self._expiries.take(now):
            self._expire_if_active(sequence, expires_at)
        self.pump()
        for due in (self._next_lock_end(), self._scheduled.first, self._expiries.first):
            if due is not None:
                self._tell(due)

    def expire_locks(self) -> None:
        """Let every lock end now, those of dead letters, too."""
        for message in self._locks.values():
            message.locked_until = 0.0
        self.run_due()
        if self.dead_letters is not None:
            self.dead_letters.expire_locks()

    def _next_lock_end(self) -> float | None:
        first = next(iter(self._locks.values()), None)
        return None if first is None else first.locked_until

    def _end_locks(self, now: float) -> None:
        while self._locks:
            message = next(iter(self._locks.values()))
            if message.locked_until > now:
                return
            self._unlock(message)
            self._abandon(message)

    def _enqueue_scheduled(self, sequence: int, due_at: float, now: float) -> None:
        message = self._messages.get(sequence)
        if message is not None and message.state is State.SCHEDULED and message.due_at == due_at:
            # It is appended as if it were sent now, and so it has a new number: those of active messages only grow.
            self._forget(message)
            message.sequence, message.state, message.enqueued_at = self._ledger.next_sequence(), State.ACTIVE, now
            self._insert(message)
            self._activate(message, now)

    def _expire_if_active(self, sequence: int, expires_at: float) -> None:
        message = self._messages.get(sequence)
        if message is None or message.expires_at != expires_at:
            return
        # What is locked or deferred expires when it is given back or asked for.
        if message.state is State.ACTIVE and message.token is None:
            self._expire(message)

    # ── one message ──────────────────────────────────────────────────────────────────────────────────────────────

    def _activate(self, message: Message, now: float) -> None:
        lives = [ttl for ttl in (message.content.ttl_seconds, self.settings.ttl_seconds) if ttl is not None]
        if lives:
            message.expires_at = now + min(lives)
            message.content.limit_ttl(min(lives))
            self._expiries.put(message.expires_at, message.sequence)
            self._tell(message.expires_at)
        self._put_in_line(message)

    def _put_in_line(self, message: Message) -> None:
        self._line.put(message.sequence)

    def _pump_for(self, message: Message) -> None:  # noqa: ARG002 - See `SessionQueue`.
        self.pump()

    def _lock(self, message: Message, token: bytes, now: float) -> None:
        message.token, message.locked_until = token, now + self.settings.lock_seconds
        self._locks[token] = message
        self._tell(message.locked_until)

    def _unlock(self, message: Message) -> None:
        assert message.token is not None, "What is not locked cannot be unlocked."
        del self._locks[message.token]
        message.token = None

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letter_on_expiration:
            self._put_aside(message, *_EXPIRED)
        else:
            self._drop(message)

    def _put_aside(self, message: Message, reason: str, description: str) -> None:
        reasons = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
        message.content.add_texts(_message.text_pairs(reasons))
        self._dead_letter(message)

    def _drop(self, message: Message) -> None:
        self._forget(message)
        self._ledger.give(room_of(message.content))

    def _insert(self, message: Message) -> None:
        self._messages[message.sequence] = message

    def _forget(self, message: Message) -> None:
        del self._messages[message.sequence]
        self._line.discard(message.sequence)
