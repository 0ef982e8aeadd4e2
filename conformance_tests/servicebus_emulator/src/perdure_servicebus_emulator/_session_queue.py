"""A queue that requires sessions: a receiver holds a session, and with it the locks of the messages that it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._message_sessions import Sessions
from perdure_servicebus_emulator._queue import MessageQueue
from perdure_servicebus_emulator._stored import room_of_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure_servicebus_emulator._clock import Clock
    from perdure_servicebus_emulator._consumer import Consumer
    from perdure_servicebus_emulator._message import Content
    from perdure_servicebus_emulator._message_sessions import Session
    from perdure_servicebus_emulator._settings import Queue
    from perdure_servicebus_emulator._stored import Message

__all__ = ["SessionQueue"]

_STATE_BYTES_MAX = 256 * 1024  # Of a session, as in the service's standard tier.


class SessionQueue(MessageQueue):
    """The messages of one queue by their sessions. See `MessageQueue`; its dead letters have no sessions."""

    lost_condition = Condition.SESSION_LOST

    def __init__(self, settings: Queue, clock: Clock, on_due: Callable[[float, MessageQueue], None]) -> None:
        super().__init__(settings, clock, on_due)
        self._sessions = Sessions(settings.lock_seconds)

    # ── hold a session ───────────────────────────────────────────────────────────────────────────────────────────

    def accept_session(self, session_id: str, holder: Consumer) -> Session:
        """Give a session to a receiver.

        Raises:
            Refused: Another one holds it.
        """
        session = self._sessions.accept(session_id, holder, self._clock.now())
        self._tell(session.locked_until)
        return session

    def wait_for_session(self, holder: Consumer, wait_seconds: float) -> None:
        """Give the next free session to a receiver: it is told, at once or later, or that it has waited in vain."""
        deadline = self._clock.now() + wait_seconds
        self._sessions.wait(holder, deadline)
        self._tell(deadline)
        self.pump()

    def pump(self) -> None:
        """Give free sessions to who waits for one."""
        while (holder := self._sessions.match()) is not None:
            session = self._sessions.accept_next(holder, self._clock.now())
            assert session is not None, "A match was made with a free session."
            self._tell(session.locked_until)
            holder.session_accepted(session)

    def pump_session(self, session: Session) -> None:
        """Deliver to the holder of a session what can be delivered."""
        holder = session.holder
        while session.line and holder is not None and session.holder is holder and holder.is_ready():
            self._deliver_from(session.line, holder)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Forget a receiver that waits for a session."""
        self._sessions.stop_waiting(consumer)

    def release_session(self, session: Session) -> None:
        """Take a session from its holder, who is done: its messages come again, with the same delivery count."""
        self._end_session(session, is_failure=False)

    def _end_session(self, session: Session, *, is_failure: bool) -> None:
        tokens = list(session.tokens)
        self._sessions.release(session)
        for token in tokens:
            message = self._locks[token]
            self._unlock(message)
            message.deliveries += is_failure
            self._give_back(message)
        self._sessions.offer(session)
        self.pump()

    def held_session(self, session_id: str) -> Session:
        """Return a session that is held.

        Raises:
            Refused: It is not, or not any more.
        """
        session = self._sessions.find(session_id)
        if session is None or session.holder is None or session.locked_until <= self._clock.now():
            raise Refused(Condition.SESSION_LOST, f"The lock of session {session_id!r} has ended: accept it again.")
        return session

    def renew_session(self, session_id: str) -> float:
        """Hold a session for longer, from now on; return until when.

        Raises:
            Refused: Its lock has ended.
        """
        session = self.held_session(session_id)
        locked_until = self._sessions.renew(session, self._clock.now())
        for token in session.tokens:
            self._locks[token].locked_until = locked_until
        return locked_until

    def renew(self, tokens: Sequence[bytes]) -> list[float]:
        """Refuse it: a message's lock is its session's."""
        raise Refused(Condition.NOT_ALLOWED, f"{len(tokens)} locks are not renewed one by one: renew the session.")

    def receive_deferred(
        self, sequences: Iterable[int], *, keeps_lock: bool, session_id: str | None = None
    ) -> list[tuple[Message, bytes]]:
        """Take messages of a session that were deferred; their locks are the session's.

        Raises:
            Refused: See `MessageQueue`; or the session is not held.
        """
        if session_id is None:
            raise Refused(Condition.NOT_ALLOWED, f"Queue {self.settings.name!r} requires sessions: name one.")
        self.held_session(session_id)
        return super().receive_deferred(sequences, keeps_lock=keeps_lock, session_id=session_id)

    # ── states ───────────────────────────────────────────────────────────────────────────────────────────────────

    def set_session_state(self, session_id: str, state: bytes | None) -> None:
        """Store what a session shall remember; None forgets it.

        Raises:
            Refused: Its lock has ended, the state is too long, or there is no room.
        """
        if state is not None and len(state) > _STATE_BYTES_MAX:
            raise Refused(Condition.QUOTA, f"A state of {len(state)} bytes: at most {_STATE_BYTES_MAX}.")
        session = self.held_session(session_id)
        room, old_room = room_of_state(state), room_of_state(session.state)
        if room > old_room:
            self._ledger.take(room - old_room, queue=self.settings.name)
        else:
            self._ledger.give(old_room - room)
        session.state, session.state_set_at = state, self._clock.now()

    def list_sessions(self, state_set_after: float | None = None) -> list[str]:
        """List the ids of sessions: those whose state was set after that time; None: that have messages or a state."""
        if state_set_after is not None:
            return [session.id for session in self._sessions if session.state_set_at > state_set_after]
        return [session.id for session in self._sessions if session.message_count or session.state is not None]

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def expire_locks(self) -> None:
        """Let the lock of every session end now."""
        self._sessions.end_all()
        super().expire_locks()

    def _next_lock_end(self) -> float | None:
        return self._sessions.next_due()

    def _end_locks(self, now: float) -> None:
        for session in self._sessions.ended(now):
            assert session.holder is not None, "A lock without a holder has ended."
            session.holder.end(Refused(Condition.SESSION_LOST, f"The lock of session {session.id!r} has expired."))
            self._end_session(session, is_failure=True)
        for holder in self._sessions.too_late(now):
            holder.end(Refused(Condition.TIMEOUT, "No session became free in the time that the receiver waits."))

    # ── one message ──────────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, content: Content) -> None:
        if content.session_id is None:
            raise Refused(
                Condition.NOT_ALLOWED,
                f"Queue {self.settings.name!r} requires sessions, the message has no session id: set one.",
            )

    def _session_of(self, message: Message) -> Session:
        assert message.content.session_id is not None, "What has no session was refused."
        return self._sessions.get(message.content.session_id)

    def _put_in_line(self, message: Message) -> None:
        session = self._session_of(message)
        session.line.put(message.sequence)
        self._sessions.offer(session)
        self.pump_session(session)

    def _pump_for(self, message: Message) -> None:
        session = self._sessions.find(message.content.session_id or "")
        if session is not None:
            self.pump_session(session)

    def _lock(self, message: Message, token: bytes, now: float) -> None:
        super()._lock(message, token, now)
        session = self._session_of(message)
        message.locked_until = session.locked_until
        session.tokens.add(token)

    def _unlock(self, message: Message) -> None:
        assert message.token is not None, "What is not locked cannot be unlocked."
        self._session_of(message).tokens.discard(message.token)
        super()._unlock(message)

    def _insert(self, message: Message) -> None:
        super()._insert(message)
        self._session_of(message).message_count += 1

    def _forget(self, message: Message) -> None:
        super()._forget(message)
        session = self._session_of(message)
        session.line.discard(message.sequence)
        session.message_count -= 1
        self._sessions.forget(session)
