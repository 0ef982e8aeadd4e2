"""One session of a connection (of AMQP; those of messages are in `_message_sessions`): windows, links, deliveries."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._link import Link, LinkState, ReceivingLink, SendingLink
from perdure_servicebus_emulator._performatives import (
    Attach,
    Begin,
    Detach,
    Disposition,
    End,
    Flow,
    Outcome,
    Received,
    Rejected,
    Transfer,
)

if TYPE_CHECKING:
    from perdure_servicebus_emulator._connection import Connection
    from perdure_servicebus_emulator._performatives import Frame

__all__ = ["MOVES", "Session", "SessionEvent", "SessionState"]

_WINDOW = 5_000  # Frames that the peer may have on the way.
_SERIAL = 2**32
_HANDLE_MAX = 4_999
_UNSETTLED_MAX = 100_000  # Deliveries kept to be settled, the newest; what is older is answered as a lost lock.
_ROOM_FOR_FIELDS = 64  # Of a frame, beside the payload, when the fields are longest.


class SessionState(Enum):
    """Where a session is. While it ends, what still comes is not looked at."""

    MAPPED = auto()
    ENDING = auto()
    ENDED = auto()


class SessionEvent(Enum):
    """What moves it."""

    ENDED_BY_US = auto()
    ENDED_BY_PEER = auto()


MOVES: dict[tuple[SessionState, SessionEvent], SessionState] = {
    (SessionState.MAPPED, SessionEvent.ENDED_BY_US): SessionState.ENDING,
    (SessionState.MAPPED, SessionEvent.ENDED_BY_PEER): SessionState.ENDED,
    (SessionState.ENDING, SessionEvent.ENDED_BY_PEER): SessionState.ENDED,
}


class Session:
    """A session.

    Args:
        connection: Which it belongs to.
        channel: Its number, which is the peer's.
        begin: What the peer began it with.
    """

    def __init__(self, connection: Connection, channel: int, begin: Begin) -> None:
        self.connection = connection
        self.state = SessionState.MAPPED
        self.links: dict[int, SendingLink | ReceivingLink] = {}
        self._channel = channel
        self._next_incoming_id = begin.next_outgoing_id
        self._window_left = begin.incoming_window
        self._next_outgoing_id = 0
        self._next_delivery_id = 0
        self._waiting: deque[tuple[Transfer, bytes]] = deque()
        self._unsettled: dict[int, tuple[SendingLink, bytes]] = {}
        self.send(Begin(channel, self._next_outgoing_id, _WINDOW, _WINDOW, _HANDLE_MAX))

    # ── send ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, frame: Frame, payload: bytes = b"") -> None:
        """Send a frame."""
        self.connection.send(self._channel, frame, payload)

    def send_flow(
        self,
        handle: int | None = None,
        delivery_count: int | None = None,
        link_credit: int | None = None,
        *,
        drain: bool = False,
    ) -> None:
        """Tell the windows, which are full again with this, and a link's credit."""
        self.send(
            Flow(
                self._next_incoming_id,
                _WINDOW,
                self._next_outgoing_id,
                _WINDOW,
                handle,
                delivery_count,
                link_credit,
                drain=drain,
            )
        )

    @property
    def can_send(self) -> bool:
        """Whether a message may be sent now: the peer's window is open, and what we write is read."""
        return self._window_left > 0 and not self._waiting and self.connection.has_room

    def send_message(self, link: SendingLink, payload: bytes, tag: bytes, *, is_settled: bool) -> None:
        """Send a message in as many frames as it needs; those for which there is no window wait."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) % _SERIAL
        if not is_settled:
            self._unsettled[delivery_id] = (link, tag)
            if len(self._unsettled) > _UNSETTLED_MAX:
                del self._unsettled[next(iter(self._unsettled))]
        room = self.connection.frame_bytes_max - _ROOM_FOR_FIELDS - len(tag)
        last = max(0, len(payload) - 1) // room * room
        handle = link.attach.handle
        for begin in range(0, last + 1, room):
            frame = Transfer(handle, delivery_id, tag, 0, is_settled, more=begin < last)
            self._waiting.append((frame, payload[begin : begin + room]))
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._window_left > 0:
            self._window_left -= 1
            self._next_outgoing_id = (self._next_outgoing_id + 1) % _SERIAL
            self.send(*self._waiting.popleft())

    def pull(self) -> None:
        """Let links send for which there may be room again."""
        for link in list(self.links.values()):
            if isinstance(link, SendingLink) and link.is_attached and link.node is not None:
                link.node.pull()

    # ── receive ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, frame: Frame, payload: bytes) -> None:
        """Follow a frame of this session."""
        if isinstance(frame, End):
            self._on_end()
        elif self.state is SessionState.MAPPED:
            self._follow(frame, payload)

    def _follow(self, frame: Frame, payload: bytes) -> None:
        match frame:
            case Attach():
                self._on_attach(frame)
            case Flow():
                self._on_flow(frame)
            case Transfer():
                self._on_transfer(frame, payload)
            case Disposition():
                self._on_disposition(frame)
            case Detach():
                self._on_detach(frame)
            case _:
                raise Refused(Condition.NOT_ALLOWED, f"A {type(frame).__name__} does not belong into a session.")

    def _on_attach(self, attach: Attach) -> None:
        if attach.handle in self.links:
            self.end(Refused(Condition.HANDLE_IN_USE, f"The handle {attach.handle} is in use."))
            return
        if attach.handle > _HANDLE_MAX:
            self.end(Refused(Condition.NOT_ALLOWED, f"A session has at most {_HANDLE_MAX + 1} links."))
            return
        link: SendingLink | ReceivingLink = (SendingLink if attach.role else ReceivingLink)(self, attach)
        self.links[attach.handle] = link
        try:
            self.connection.namespace.open(link)
        except Refused as refused:
            link.refuse(refused)

    def _on_flow(self, flow: Flow) -> None:
        # `next_incoming_id` counts frames that the peer has seen; without it, it has not seen our begin.
        seen = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        self._window_left = max(0, flow.incoming_window - (self._next_outgoing_id - seen) % _SERIAL)
        self._next_incoming_id = flow.next_outgoing_id
        self._send_waiting()
        if flow.handle is not None:
            link = self._find(flow.handle)
            if link is not None and link.is_attached:
                link.on_flow(flow)
        elif flow.echo:
            self.send_flow()
        self.pull()

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) % _SERIAL
        link = self._find(transfer.handle)
        if isinstance(link, SendingLink):
            self.end(Refused(Condition.NOT_ALLOWED, f"The peer receives on the link {transfer.handle}."))
        elif isinstance(link, ReceivingLink) and link.is_attached:
            link.on_transfer(transfer, payload)

    def _on_disposition(self, disposition: Disposition) -> None:
        outcome = disposition.state
        if not disposition.role or outcome is None or isinstance(outcome, Received):
            return
        first, last = disposition.first, disposition.first if disposition.last is None else disposition.last
        for delivery_id in self._between(first, last):
            answer = self._settle(delivery_id, outcome)
            if answer is not None and not disposition.settled:
                self.send(Disposition(role=False, first=delivery_id, last=delivery_id, settled=True, state=answer))

    def _between(self, first: int, last: int) -> list[int]:
        if first == last:
            return [first]
        # The range is the peer's to choose, up to 2**32: walk what is there.
        return [delivery_id for delivery_id in self._unsettled if first <= delivery_id <= last]

    def _settle(self, delivery_id: int, outcome: Outcome) -> Outcome | None:
        link, tag = self._unsettled.pop(delivery_id, (None, b""))
        if link is None or link.node is None:
            return Rejected(Refused(Condition.LOCK_LOST, f"There is no delivery {delivery_id} to settle.").error)
        return link.node.settle(tag, outcome)

    def _on_detach(self, detach: Detach) -> None:
        # The SDK detaches once more a link that was detached by us, when it closes; the service lets it.
        link = self.links.get(detach.handle)
        if link is not None:
            link.on_detach(detach)

    def _find(self, handle: int) -> Link | None:
        link = self.links.get(handle)
        if link is None:
            self.end(Refused(Condition.UNATTACHED, f"No link has the handle {handle}."))
        return link

    # ── end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def forget(self, link: Link) -> None:
        """Let a link's handle be used again."""
        if self.links.get(link.attach.handle) is link:
            del self.links[link.attach.handle]

    def move(self, event: SessionEvent) -> bool:
        """Follow an event; whether it was legal."""
        new = MOVES.get((self.state, event))
        if new is None:
            return False
        self.state = new
        return True

    def end(self, refused: Refused) -> None:
        """End the session and tell the peer why."""
        if self.move(SessionEvent.ENDED_BY_US):
            self.send(End(refused.error))
            self.close()

    def _on_end(self) -> None:
        is_answer = self.state is SessionState.ENDING
        self.move(SessionEvent.ENDED_BY_PEER)
        if not is_answer:
            self.close()
            self.send(End())
        self.connection.forget(self._channel)

    def close(self) -> None:
        """End the links; nobody is told any more."""
        links = list(self.links.values())
        self.links.clear()
        self._unsettled.clear()
        self._waiting.clear()
        for link in links:
            was_there = link.state in {LinkState.PENDING, LinkState.ATTACHED}
            link.state = LinkState.ENDED
            if was_there:
                link.close_node()
