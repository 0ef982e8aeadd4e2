"""The sessions of one queue: who holds which, which are free, and who waits for one.

A session exists while it has messages, a state or a holder.

    free      has messages to receive and nobody who holds it; the longest free first
    held      by one receiver, until its lock ends; in the order in which the locks end
    (neither) has nothing to receive, and nobody holds it
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._indexes import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure_servicebus_emulator._consumer import Consumer

__all__ = ["Session", "Sessions"]


@dataclass(slots=True, eq=False)
class Session:
    """One session. `tokens` are the locks of its messages; they end with the session's."""

    id: str
    line: Line = field(default_factory=Line)
    message_count: int = 0
    state: bytes | None = None
    state_set_at: float = 0.0
    holder: Consumer | None = None
    locked_until: float = 0.0
    tokens: set[bytes] = field(default_factory=set[bytes])


class Sessions:
    """The sessions of one queue.

    Args:
        lock_seconds: How long one is held.
    """

    def __init__(self, lock_seconds: float) -> None:
        self._lock_seconds = lock_seconds
        self._all: dict[str, Session] = {}
        self._free: OrderedDict[str, Session] = OrderedDict()
        self._held: OrderedDict[str, Session] = OrderedDict()
        self._waiting: OrderedDict[Consumer, float] = OrderedDict()

    def __iter__(self) -> Iterator[Session]:
        return iter(self._all.values())

    def get(self, session_id: str) -> Session:
        """Return a session; it begins with this."""
        session = self._all.get(session_id)
        if session is None:
            session = self._all[session_id] = Session(session_id)
        return session

    def find(self, session_id: str) -> Session | None:
        """Return a session, if there is one."""
        return self._all.get(session_id)

    def offer(self, session: Session) -> None:
        """Let a session that has messages be received: by who waits longest, or by who asks next."""
        if session.holder is None and session.line:
            self._free[session.id] = session

    def accept(self, session_id: str, holder: Consumer, now: float) -> Session:
        """Give a session to a receiver.

        Raises:
            Refused: Another one holds it.
        """
        session = self.get(session_id)
        if session.holder is not None:
            raise Refused(Condition.SESSION_LOCKED, f"The session {session_id!r} is held by another receiver.")
        self._free.pop(session_id, None)
        session.holder, session.locked_until = holder, now + self._lock_seconds
        self._held[session_id] = session
        return session

    def accept_next(self, holder: Consumer, now: float) -> Session | None:
        """Give the session that has been free for longest to a receiver; None: none is free."""
        session_id = next(iter(self._free), None)
        return None if session_id is None else self.accept(session_id, holder, now)

    def renew(self, session: Session, now: float) -> float:
        """Hold a session for longer, from now on; return until when."""
        session.locked_until = now + self._lock_seconds
        self._held.move_to_end(session.id)
        return session.locked_until

    def release(self, session: Session) -> None:
        """Take a session from its holder."""
        session.holder = None
        self._held.pop(session.id, None)
        self.forget(session)

    def forget(self, session: Session) -> None:
        """Drop a session of which nothing is left."""
        if not session.line:
            self._free.pop(session.id, None)
        if session.holder is None and not session.message_count and session.state is None:
            self._all.pop(session.id, None)

    # ── who waits for the next free one ──────────────────────────────────────────────────────────────────────────

    def wait(self, holder: Consumer, deadline: float) -> None:
        """Remember a receiver that takes any session, until `deadline`."""
        self._waiting[holder] = deadline

    def stop_waiting(self, holder: Consumer) -> None:
        """Forget it."""
        self._waiting.pop(holder, None)

    def match(self) -> Consumer | None:
        """Take who waits longest, if a session is free."""
        return self._waiting.popitem(last=False)[0] if self._free and self._waiting else None

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def end_all(self) -> None:
        """Let every lock end now."""
        for session in self._held.values():
            session.locked_until = 0.0

    def ended(self, now: float) -> list[Session]:
        """List sessions whose lock has ended."""
        ended: list[Session] = []
        for session in self._held.values():
            if session.locked_until > now:
                break
            ended.append(session)
        return ended

    def too_late(self, now: float) -> list[Consumer]:
        """Take those who have waited for long enough."""
        late = [holder for holder, deadline in self._waiting.items() if deadline <= now]
        for holder in late:
            del self._waiting[holder]
        return late

    def next_due(self) -> float | None:
        """Return when to look again."""
        times = list(self._waiting.values())
        first = next(iter(self._held.values()), None)
        if first is not None:
            times.append(first.locked_until)
        return min(times, default=None)
