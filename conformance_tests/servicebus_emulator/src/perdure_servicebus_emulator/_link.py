"""One link: a stream of messages in one direction, and where it is between attach and detach.

A link is known by its handle, ours is always the peer's number. What a link leads to is a node: see `Inlet`, `Outlet`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING

from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._performatives import (
    Attach,
    Detach,
    Disposition,
    Flow,
    Outcome,
    Rejected,
    Source,
    Target,
    Transfer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure_servicebus_emulator._session import Session

__all__ = ["MOVES", "Inlet", "Link", "LinkEvent", "LinkState", "Outlet", "ReceivingLink", "SendingLink"]

_CREDIT = 1_000  # Messages that a sender may have on the way; filled up when half of them are used.
_SERIAL = 2**32  # Delivery counts are serial numbers: they begin again at 0.


class LinkState(Enum):
    """Where a link is. A pending one waits for a session of messages to become free."""

    PENDING = auto()
    ATTACHED = auto()
    ENDING = auto()
    ENDED = auto()


class LinkEvent(Enum):
    """What moves it: our answer to the attach, or a detach of either side."""

    ANSWERED = auto()
    REFUSED = auto()
    DETACHED_BY_US = auto()
    DETACHED_BY_PEER = auto()


MOVES: dict[tuple[LinkState, LinkEvent], LinkState] = {
    (LinkState.PENDING, LinkEvent.ANSWERED): LinkState.ATTACHED,
    (LinkState.PENDING, LinkEvent.REFUSED): LinkState.ENDED,  # The SDK does not answer the detach of a refused link.
    (LinkState.PENDING, LinkEvent.DETACHED_BY_PEER): LinkState.ENDED,
    (LinkState.ATTACHED, LinkEvent.DETACHED_BY_US): LinkState.ENDING,
    (LinkState.ATTACHED, LinkEvent.DETACHED_BY_PEER): LinkState.ENDED,
    (LinkState.ENDING, LinkEvent.DETACHED_BY_PEER): LinkState.ENDED,
}


class Inlet(ABC):
    """Where messages of a link go."""

    message_bytes_max: int

    @abstractmethod
    def receive(self, raw: bytes, message_format: int) -> Outcome | None:
        """Take a message, whole. Returns what to answer; None: nothing."""

    def close(self) -> None:
        """Hear that the link has ended."""


class Outlet(ABC):
    """Where messages of a link come from."""

    @abstractmethod
    def pull(self) -> None:
        """Hear that the link may have room for messages."""

    @abstractmethod
    def settle(self, tag: bytes, outcome: Outcome) -> Outcome | None:
        """Carry out what the peer wants done with a message. Returns what to answer; None: nothing."""

    def close(self) -> None:
        """Hear that the link has ended."""


class Link(ABC):
    """What links of both directions share.

    Args:
        session: Which it belongs to.
        attach: What the peer asked for.
    """

    def __init__(self, session: Session, attach: Attach) -> None:
        self.session = session
        self.attach = attach
        self.state = LinkState.PENDING

    @property
    def is_attached(self) -> bool:
        """Whether messages may flow."""
        return self.state is LinkState.ATTACHED

    def move(self, event: LinkEvent) -> bool:
        """Follow an event; whether it was legal."""
        new = MOVES.get((self.state, event))
        if new is None:
            return False
        self.state = new
        if new is LinkState.ENDED:
            self.session.forget(self)
        return True

    @abstractmethod
    def answer(self) -> None:
        """Tell the peer that the link is there."""

    @abstractmethod
    def close_node(self) -> None:
        """Tell the node that it has ended."""

    def refuse(self, refused: Refused) -> None:
        """Tell the peer that there is no link: an attach that leads nowhere, then a detach that says why.

        A detach alone would break the connection of the SDK: it looks for a link that has this handle.
        """
        if self.move(LinkEvent.REFUSED):
            role = not self.attach.role
            count = None if role else 0
            self.session.send(Attach(self.attach.name, self.attach.handle, role, initial_delivery_count=count))
            self.session.send(Detach(self.attach.handle, closed=True, error=refused.error))

    def detach(self, refused: Refused) -> None:
        """End the link and tell the peer why; a pending one is refused."""
        if self.state is LinkState.PENDING:
            self.refuse(refused)
        elif self.move(LinkEvent.DETACHED_BY_US):
            self.session.send(Detach(self.attach.handle, closed=True, error=refused.error))
            self.close_node()

    def on_detach(self, detach: Detach) -> None:
        """Follow the peer's detach, and answer it if it was not itself an answer."""
        is_answer = self.state is LinkState.ENDING
        self.move(LinkEvent.DETACHED_BY_PEER)
        if not is_answer:
            self.close_node()
            self.session.send(Detach(self.attach.handle, closed=detach.closed))

    def on_flow(self, flow: Flow) -> None:
        """Hear of credit; only a link that sends has any."""


class ReceivingLink(Link):
    """A link on which the peer sends."""

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self.node: Inlet | None = None
        self._count = attach.initial_delivery_count or 0
        self._credit = 0
        self._first: Transfer | None = None
        self._parts: list[bytes] = []
        self._bytes = 0

    def answer(self) -> None:
        assert self.node is not None
        asked = self.attach
        target = asked.target
        self.session.send(
            Attach(
                asked.name,
                asked.handle,
                role=True,
                snd_settle_mode=asked.snd_settle_mode,
                rcv_settle_mode=0,
                source=Source(asked.source.address if asked.source else None),
                target=Target(target.address if isinstance(target, Target) else None),
                max_message_size=self.node.message_bytes_max,
            )
        )
        self.move(LinkEvent.ANSWERED)
        self._fill_up()

    def _fill_up(self) -> None:
        self._credit = _CREDIT
        self.session.send_flow(self.attach.handle, self._count, _CREDIT)

    def on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Take a part of a message; with the last one, the message."""
        assert self.node is not None, "A link is given its node before it is attached."
        if self._first is None:
            self._first = transfer
        self._parts.append(payload)
        self._bytes += len(payload)
        if self._bytes > self.node.message_bytes_max + 1 and transfer.more:
            # Do not keep what will be refused: only its size still counts.
            self._parts = [self._parts[0]]
        if transfer.more and not transfer.aborted:
            return
        first, raw, size = self._first, b"".join(self._parts), self._bytes
        self._first, self._parts, self._bytes = None, [], 0
        self._count = (self._count + 1) % _SERIAL
        self._credit -= 1
        if not transfer.aborted:
            self._finish(first, raw, size, is_settled=bool(first.settled or transfer.settled))
        if self._credit <= _CREDIT // 2 and self.is_attached:
            self._fill_up()

    def _finish(self, first: Transfer, raw: bytes, size: int, *, is_settled: bool) -> None:
        assert self.node is not None
        if size > self.node.message_bytes_max:
            outcome: Outcome | None = Rejected(_too_long(size, self.node.message_bytes_max).error)
        else:
            outcome = self.node.receive(raw, first.message_format or 0)
        if not is_settled and outcome is not None and first.delivery_id is not None:
            self.session.send(
                Disposition(role=True, first=first.delivery_id, last=first.delivery_id, settled=True, state=outcome)
            )

    def close_node(self) -> None:
        if self.node is not None:
            self.node.close()


class SendingLink(Link):
    """A link on which we send."""

    def __init__(self, session: Session, attach: Attach) -> None:
        super().__init__(session, attach)
        self.node: Outlet | None = None
        self._count = 0
        self._credit = 0

    def answer(
        self, filters: Mapping[object, object] | None = None, properties: Mapping[object, object] | None = None
    ) -> None:
        asked = self.attach
        source = Source(asked.source.address if asked.source else None, filter=filters)
        target = Target(asked.target.address if isinstance(asked.target, Target) else None)
        self.session.send(
            Attach(
                asked.name,
                asked.handle,
                role=False,
                snd_settle_mode=asked.snd_settle_mode,
                rcv_settle_mode=asked.rcv_settle_mode,
                source=source,
                target=target,
                initial_delivery_count=0,
                properties=properties,
            )
        )
        self.move(LinkEvent.ANSWERED)

    @property
    def can_send(self) -> bool:
        """Whether a message may be sent now."""
        return self._credit > 0 and self.is_attached and self.session.can_send

    def send_message(self, payload: bytes, tag: bytes, *, is_settled: bool) -> None:
        """Send a message; asked only while `can_send`."""
        assert self._credit > 0, "Without credit nothing is sent."
        self._credit -= 1
        self._count = (self._count + 1) % _SERIAL
        self.session.send_message(self, payload, tag, is_settled=is_settled)

    def on_flow(self, flow: Flow) -> None:
        assert self.node is not None
        if flow.link_credit is not None:
            known = self._count if flow.delivery_count is None else flow.delivery_count
            # What we have sent and the peer did not know of when it wrote this is taken off.
            on_the_way = (self._count - known) % _SERIAL
            self._credit = max(0, flow.link_credit - on_the_way)
        self.node.pull()
        if flow.drain and self.is_attached:
            self._count = (self._count + self._credit) % _SERIAL
            self._credit = 0
        if flow.drain or flow.echo:
            self.session.send_flow(self.attach.handle, self._count, self._credit, drain=flow.drain)

    def close_node(self) -> None:
        if self.node is not None:
            self.node.close()


def _too_long(size: int, bytes_max: int) -> Refused:
    return Refused(
        Condition.MESSAGE_SIZE,
        f"The received message (size: {size} bytes) exceeds the limit of this link ({bytes_max} bytes).",
    )
