"""What the ends of links are tied to: a queue, which takes or gives messages, and requests with their replies."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _message, _requests
from perdure_servicebus_emulator import _performatives as performatives
from perdure_servicebus_emulator._codec import DecodeError, Described
from perdure_servicebus_emulator._consumer import Consumer
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._link import Inlet, Outlet, SendingLink
from perdure_servicebus_emulator._performatives import Accepted, Modified, Rejected, Released
from perdure_servicebus_emulator._session_queue import SessionQueue
from perdure_servicebus_emulator._stored import Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perdure_servicebus_emulator._faults import Faults, Operation
    from perdure_servicebus_emulator._link import Link, ReceivingLink
    from perdure_servicebus_emulator._message_sessions import Session
    from perdure_servicebus_emulator._queue import MessageQueue
    from perdure_servicebus_emulator._requests import Reply, Request
    from perdure_servicebus_emulator._stored import Message

__all__ = ["QueueInlet", "QueueOutlet", "ReplyOutlet", "RequestInlet"]

_FILTER = codec.Symbol("com.microsoft:session-filter")
_LOCKED_UNTIL = codec.Symbol("com.microsoft:locked-until-utc")
_WAIT = "com.microsoft:timeout"
_WAIT_MS = 65_000  # When the client does not say how long it waits for a session.
_TICKS, _TICKS_AT_EPOCH = 10_000_000, 621_355_968_000_000_000  # Of .NET: 100 ns each, from the year 1 on.
_SETTLED = 1  # Settle mode of a sender that keeps no lock: receive-and-delete.
_REQUEST_BYTES_MAX = 2**20  # A request may hold a list of messages to schedule.
_REPLIES_MAX = 1_000  # As many as requests may be on the way.


class QueueInlet(Inlet):
    """Puts messages of a link into a queue.

    Raises:
        Refused: Nothing is sent to this queue.
    """

    def __init__(self, link: ReceivingLink, queue: MessageQueue, faults: Faults) -> None:
        if queue.dead_letters is None:
            raise Refused(Condition.NOT_ALLOWED, "Nothing is sent to a dead-letter queue: send to the queue itself.")
        self.message_bytes_max = queue.settings.message_bytes_max
        self._link = link
        self._queue = queue
        self._faults = faults

    def receive(self, raw: bytes, message_format: int) -> performatives.Outcome | None:
        """Store a message, or those of a batch."""
        answer = self._store(raw, message_format)
        return None if _is_lost(self._faults, "send", self._link) else answer

    def _store(self, raw: bytes, message_format: int) -> performatives.Outcome:
        try:
            self._faults.refuse_if_busy("send")
            self._queue.send(_message.cut_batch(raw) if message_format == _message.BATCH_FORMAT else [raw])
        except Refused as refused:
            return Rejected(refused.error)
        except DecodeError as exc:
            return Rejected(Refused(Condition.DECODE, str(exc)).error)
        return Accepted()


class QueueOutlet(Outlet, Consumer):
    """Gives messages of a queue, or of one session of it, to a link."""

    def __init__(self, link: SendingLink, queue: MessageQueue, faults: Faults) -> None:
        self.keeps_lock = link.attach.snd_settle_mode != _SETTLED
        self._link = link
        self._queue = queue
        self._faults = faults
        self._session: Session | None = None

    # ── begin and end ────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Answer the attach: now, or, for the next session that is free, as soon as there is one.

        Raises:
            Refused: The queue has sessions and none is asked for, or the other way round; or another has this one.
        """
        source = self._link.attach.source
        filters = (source.filter if source is not None else None) or {}
        name = self._queue.settings.name
        if not isinstance(self._queue, SessionQueue):
            if _FILTER in filters:
                raise Refused(Condition.NOT_ALLOWED, f"Queue {name!r} has no sessions: receive without one.")
            self._link.answer()
        elif _FILTER in filters:
            self._accept(self._queue, filters[_FILTER])
        else:
            raise Refused(
                Condition.NOT_ALLOWED,
                "It is not possible for an entity that requires sessions to create a non-sessionful message receiver: "
                f"{name!r} does, name a session or ask for the next one.",
            )

    def _accept(self, queue: SessionQueue, wanted: object) -> None:
        session_id = wanted.value if isinstance(wanted, Described) else wanted
        if session_id is None:
            queue.wait_for_session(self, self._wait_seconds())
        elif isinstance(session_id, str):
            self.session_accepted(queue.accept_session(session_id, self))
        else:
            raise Refused(Condition.INVALID_FIELD, f"The id of a session is text, not {session_id!r}.")

    def _wait_seconds(self) -> float:
        wait_ms = (self._link.attach.properties or {}).get(_WAIT)
        return (wait_ms if isinstance(wait_ms, int) and wait_ms >= 0 else _WAIT_MS) / 1000

    def session_accepted(self, session: Session) -> None:
        """Tell the client which session is its own."""
        self._session = session
        ticks = round(session.locked_until * _TICKS) + _TICKS_AT_EPOCH
        self._link.answer({_FILTER: session.id}, {_LOCKED_UNTIL: ticks})

    def end(self, refused: Refused) -> None:
        """Tell the client that it has lost its session, or that there is none for it."""
        self._session = None
        self._link.detach(refused)

    def close(self) -> None:
        """Free the session; messages that are locked stay locked until their locks end."""
        session, self._session = self._session, None
        if session is not None and isinstance(self._queue, SessionQueue):
            self._queue.release_session(session)
        self._queue.remove_consumer(self)

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def is_ready(self) -> bool:
        """Whether the link takes one more."""
        return self._link.can_send

    def pull(self) -> None:
        """Ask the queue for messages."""
        if not isinstance(self._queue, SessionQueue):
            self._queue.ask(self)
        elif self._session is not None:
            self._queue.pump_session(self._session)

    def deliver(self, message: Message, token: bytes, locked_until: float) -> None:
        """Send a message."""
        written = message.written(locked_until if self.keeps_lock else None)
        self._link.send_message(written, token, is_settled=not self.keeps_lock)

    def settle(self, tag: bytes, outcome: performatives.Outcome) -> performatives.Outcome | None:
        """Settle a message; the client waits to hear its own outcome, or why not."""
        answer = self._carry_out(tag, outcome)
        return None if _is_lost(self._faults, "settle", self._link) else answer

    def _carry_out(self, tag: bytes, outcome: performatives.Outcome) -> performatives.Outcome:
        try:
            self._faults.refuse_if_busy("settle")
            settlement, answer = _settlement(outcome)
            self._queue.settle(tag, settlement)
        except Refused as refused:
            return Rejected(refused.error)
        return answer


def _settlement(outcome: performatives.Outcome) -> tuple[Settlement, performatives.Outcome]:
    """Say what an outcome asks for, and how it is answered: by itself, without what it carried.

    Raises:
        Refused: It carries values that no message can hold.
    """
    if isinstance(outcome, Modified):
        kind = Outcome.DEFER if outcome.undeliverable_here else Outcome.ABANDON
        texts = _message.text_pairs(outcome.message_annotations or {})
        return Settlement(kind, texts), outcome._replace(message_annotations=None)
    if isinstance(outcome, Rejected):
        return Settlement(Outcome.DEAD_LETTER, _message.text_pairs(_reasons(outcome))), Rejected()
    return Settlement(Outcome.RELEASE if isinstance(outcome, Released) else Outcome.COMPLETE), outcome


def _reasons(outcome: Rejected) -> Mapping[object, object]:
    info = (outcome.error.info if outcome.error is not None else None) or {}
    return {key: value for key, value in info.items() if value is not None}


class ReplyOutlet(Outlet):
    """Gives the replies to requests at `path` to a link of the client that asked."""

    def __init__(self, link: SendingLink, path: str) -> None:
        self.path = path
        self._link = link
        self._waiting: deque[bytes] = deque()
        self._count = 0

    def send(self, reply: bytes) -> None:
        """Send a reply, or keep it until the client gives credit."""
        self._waiting.append(reply)
        self.pull()
        if len(self._waiting) > _REPLIES_MAX:
            self._link.detach(Refused(Condition.QUOTA, f"More than {_REPLIES_MAX} replies wait for credit."))

    def pull(self) -> None:
        """Send what waits."""
        while self._waiting and self._link.can_send:
            self._count += 1
            self._link.send_message(self._waiting.popleft(), self._count.to_bytes(8, "big"), is_settled=True)

    def settle(self, tag: bytes, outcome: performatives.Outcome) -> performatives.Outcome | None:  # noqa: ARG002 - See Outlet.
        """Hear nothing: replies are sent settled."""
        return outcome


class RequestInlet(Inlet):
    """Answers requests at `path`, on the link of the same session that brings replies from there.

    Args:
        link: Brings the requests.
        path: Where they go.
        answer: Carries one out.
        faults: Hit the answers; None: none does.
    """

    message_bytes_max = _REQUEST_BYTES_MAX

    def __init__(
        self, link: ReceivingLink, path: str, answer: Callable[[Request], Reply], faults: Faults | None = None
    ) -> None:
        self._link = link
        self._path = path
        self._answer = answer
        self._faults = faults

    def receive(self, raw: bytes, message_format: int) -> performatives.Outcome | None:  # noqa: ARG002 - See Inlet.
        """Answer a request."""
        request = _requests.read(raw)
        reply = _requests.write(request, self._answer(request))
        if self._faults is not None and _is_lost(self._faults, "manage", self._link):
            return None
        for link in self._link.session.links.values():
            node = link.node if isinstance(link, SendingLink) else None
            if isinstance(node, ReplyOutlet) and node.path == self._path:
                node.send(reply)
                return Accepted()
        return Rejected(Refused(Condition.NOT_ALLOWED, f"No link brings replies from {self._path!r}.").error)


def _is_lost(faults: Faults, operation: Operation, link: Link) -> bool:
    if not faults.take_lost(operation):
        return False
    if faults.is_cut:
        link.session.connection.abort()
    return True
