"""What the address of a link leads to: a queue, its dead letters, `$management` of either, or `$cbs`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perdure_servicebus_emulator._codec import Described
from perdure_servicebus_emulator._errors import Condition, Refused
from perdure_servicebus_emulator._faults import Faults
from perdure_servicebus_emulator._link import ReceivingLink, SendingLink
from perdure_servicebus_emulator._management import answer_management
from perdure_servicebus_emulator._nodes import QueueInlet, QueueOutlet, ReplyOutlet, RequestInlet
from perdure_servicebus_emulator._tokens import answer_token

if TYPE_CHECKING:
    from perdure_servicebus_emulator._broker import Broker
    from perdure_servicebus_emulator._link import Link
    from perdure_servicebus_emulator._queue import MessageQueue

__all__ = ["Namespace"]

_CBS = "$cbs"
_MANAGEMENT = "/$management"
_NOT_HERE = ("/subscriptions/", "$transfer")


class Namespace:
    """What connections reach.

    Args:
        broker: The queues.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.faults = Faults()

    def open(self, link: Link) -> None:
        """Give a link its node and answer its attach, now or, for the next free session, later.

        Raises:
            Refused: The address leads nowhere, or not this link.
        """
        path = _path(link)
        is_request = path == _CBS or path.endswith(_MANAGEMENT)
        if path != _CBS and not link.session.connection.is_authorized:
            raise Refused(Condition.UNAUTHORIZED, f"Unauthorized access to {path!r}: put a token to $cbs first.")
        if isinstance(link, ReceivingLink):
            link.node = self._request_inlet(link, path) if is_request else self._queue_inlet(link, path)
            link.answer()
        elif isinstance(link, SendingLink):
            self._open_outlet(link, path, is_request=is_request)

    def _open_outlet(self, link: SendingLink, path: str, *, is_request: bool) -> None:
        if is_request:
            link.node = ReplyOutlet(link, path)
            link.answer()
            return
        link.node = outlet = QueueOutlet(link, self._find(path), self.faults)
        outlet.begin()

    def _queue_inlet(self, link: ReceivingLink, path: str) -> QueueInlet:
        return QueueInlet(link, self._find(path), self.faults)

    def _request_inlet(self, link: ReceivingLink, path: str) -> RequestInlet:
        if path == _CBS:
            return RequestInlet(link, path, lambda request: answer_token(request, link.session.connection))
        queue, faults = self._find(path.removesuffix(_MANAGEMENT)), self.faults
        return RequestInlet(link, path, lambda request: answer_management(request, queue, faults), faults)

    def _find(self, path: str) -> MessageQueue:
        for part in _NOT_HERE:
            if part in path.casefold():
                raise Refused(Condition.NOT_FOUND, f"{path!r}: this emulator has queues, no topics and no transfers.")
        return self.broker.find(path)


def _path(link: Link) -> str:
    end = link.attach.source if isinstance(link, SendingLink) else link.attach.target
    if isinstance(end, Described):
        raise Refused(Condition.NOT_IMPLEMENTED, "There are no transactions here: send and settle without one.")
    address = end.address if end is not None else None
    if not address:
        raise Refused(Condition.INVALID_FIELD, "The address of a link is missing.")
    try:
        path = urlsplit(address).path if "://" in address else address
    except ValueError as exc:
        raise Refused(Condition.INVALID_FIELD, f"The address {address!r} of a link is none: {exc}.") from exc
    return path.strip("/")
