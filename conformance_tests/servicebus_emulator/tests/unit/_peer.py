"""A client of one connection, without a socket between them, on a clock of the test."""

from __future__ import annotations

from typing import Any, TypeVar

from perdure_servicebus_emulator import ManualClock, Queue
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._broker import Broker
from perdure_servicebus_emulator._connection import Connection
from perdure_servicebus_emulator._frames import AMQP_HEADER, SASL_HEADER, FrameReader, frame_bytes
from perdure_servicebus_emulator._namespace import Namespace

__all__ = ["Peer", "namespace"]

FRAME_BYTES_MAX = 65_536

Kind = TypeVar("Kind", bound=tuple[Any, ...])


def namespace(*queues: Queue) -> Namespace:
    """Give a namespace with these queues."""
    return Namespace(Broker(queues, ManualClock()))


class Peer:
    """A connection as its client sees it: what it tells, and the frames that it hears, in order."""

    def __init__(self, service: Namespace) -> None:
        self.now = 0.0
        self.connection = Connection(service, self.now, lambda: None)
        self.heard: list[wire.Composite] = []
        self.payloads: list[bytes] = []
        self.sizes: list[int] = []
        self.heartbeats = 0
        self._reader = FrameReader(FRAME_BYTES_MAX)
        self._next_delivery = 0

    def begin(self, *, frame_bytes_max: int = FRAME_BYTES_MAX, window: int = 1000, idle_ms: int | None = None) -> None:
        """Sign in, and open a connection and a session."""
        self.write(SASL_HEADER + frame_bytes(0, wire.encode(wire.SaslInit("ANONYMOUS")), kind=1) + AMQP_HEADER)
        for header in (SASL_HEADER, None, None, AMQP_HEADER):  # None: a SASL frame.
            assert (self._reader.take_header() == header) if header else (self._reader.take() is not None)
        self.connection.is_authorized = True
        self.tell(wire.Open("test", "127.0.0.1", frame_bytes_max, idle_time_out=idle_ms))
        self.tell(wire.Begin(None, 0, window, 1000, 255))

    def write(self, data: bytes) -> None:
        """Write bytes, and keep what is answered."""
        self.connection.receive(data, self.now)
        self._reader.feed(self.connection.take_output(self.now))

    def tell(self, frame: wire.Composite, payload: bytes = b"") -> None:
        """Send a frame, and hear what is answered."""
        self.write(frame_bytes(0, wire.encode(frame) + payload))
        self.listen()

    def listen(self) -> None:
        """Hear what was written meanwhile."""
        self._reader.feed(self.connection.take_output(self.now))
        while (frame := self._reader.take()) is not None:
            self.sizes.append(len(frame.body) + 8)
            if not frame.body:
                self.heartbeats += 1
                continue
            heard, payload = wire.decode(frame.body)
            self.heard.append(heard)
            if isinstance(heard, wire.Transfer):
                self.payloads.append(payload)

    def let_time_pass(self, seconds: float) -> None:
        """Move the connection's clock, as its timer does."""
        self.now += seconds
        while self.connection.next_tick() <= self.now and not self.connection.is_closed:
            self.connection.tick(self.now)
            self.listen()

    def last(self, kind: type[Kind]) -> Kind:
        """Give the last frame of a kind that was heard."""
        found = [frame for frame in self.heard if isinstance(frame, kind)]
        assert found, f"No {kind.__name__} among {self.heard}."
        return found[-1]

    def count(self, kind: type[Kind]) -> int:
        """Count the frames of a kind that were heard."""
        return sum(isinstance(frame, kind) for frame in self.heard)

    def send_to(self, queue: str, *messages: bytes) -> None:
        """Send messages over a link of their own, handle 9."""
        self.tell(
            wire.Attach("to", 9, role=False, source=wire.Source("me"), target=wire.Target(queue),
                        initial_delivery_count=0)
        )  # fmt: skip
        for message in messages:
            number, self._next_delivery = self._next_delivery, self._next_delivery + 1
            self.tell(wire.Transfer(9, number, b"%d" % number, 0, settled=False), message)

    def receive_from(self, queue: str, credit: int, handle: int = 1, *, window: int = 1000) -> None:
        """Open a link from a queue, in peek-lock, and give credit."""
        self.tell(
            wire.Attach("from", handle, role=True, snd_settle_mode=0, rcv_settle_mode=1,
                        source=wire.Source(queue), target=wire.Target("me"))
        )  # fmt: skip
        self.flow(handle, credit, window=window)

    def flow(self, handle: int, credit: int, *, window: int = 1000) -> None:
        """Give credit, and open the window."""
        transfers = self.count(wire.Transfer)
        self.tell(wire.Flow(transfers, window, self._next_delivery, 1000, handle, None, credit))
