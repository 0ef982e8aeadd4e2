"""Whatever bytes come, a connection follows them or ends, and the queues behind it serve the next one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from _broken_bytes import FRAMES, MESSAGES
from perdure_servicebus_emulator import ManualClock, Queue
from perdure_servicebus_emulator import _performatives as wire
from perdure_servicebus_emulator._broker import Broker
from perdure_servicebus_emulator._connection import Connection
from perdure_servicebus_emulator._frames import AMQP_HEADER, SASL_HEADER, FrameReader, frame_bytes
from perdure_servicebus_emulator._namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Inputs = Callable[[Sequence[bytes]], Iterator[bytes]]

FRAMES_PER_CONNECTION = 40
FRAME_BYTES_MAX = 65_536
QUIET = "nobody sends here by accident"
BEGINNING: list[wire.Frame] = [
    wire.Open("fuzz", "127.0.0.1", FRAME_BYTES_MAX),
    wire.Begin(None, 0, 1000, 1000, 255),
    wire.Attach("in", 0, role=False, source=wire.Source("me"), target=wire.Target("q"), initial_delivery_count=0),
    wire.Attach("out", 1, role=True, source=wire.Source("q"), target=wire.Target("me"), rcv_settle_mode=1),
    wire.Attach("s", 2, role=False, source=wire.Source("me"), target=wire.Target("s"), initial_delivery_count=0),
    wire.Flow(0, 1000, 0, 1000, 1, 0, 100),
]


class Peer:
    """A client of one connection, without a socket between them, that checks what it is told."""

    def __init__(self, namespace: Namespace) -> None:
        self.connection = Connection(namespace, 0.0, lambda: None)
        self.heard: list[wire.Composite] = []
        self._reader = FrameReader(FRAME_BYTES_MAX)

    def begin(self) -> None:
        """Open the connection, a session and some links."""
        self.tell(SASL_HEADER + frame_bytes(0, wire.encode(wire.SaslInit("ANONYMOUS")), kind=1) + AMQP_HEADER)
        for header in (SASL_HEADER, None, None, AMQP_HEADER):  # None: a SASL frame.
            assert (self._reader.take_header() == header) if header else (self._reader.take() is not None)
        self.connection.is_authorized = True
        for frame in BEGINNING:
            self.tell(frame_bytes(0, wire.encode(frame)))
        self.listen()

    def tell(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.receive(data, 0.0)
        self._reader.feed(self.connection.take_output(0.0))

    def listen(self) -> None:
        """Read what was answered: whole frames of AMQP, whatever was asked."""
        while (frame := self._reader.take()) is not None:
            if frame.body:
                self.heard.append(wire.decode(frame.body)[0])


def namespace() -> Namespace:
    """Give a namespace with a queue and a queue with sessions, small enough to be full now and then."""
    queues = [
        Queue("q", size_bytes_max=200_000),
        Queue("s", requires_session=True, size_bytes_max=200_000),
        Queue(QUIET),
    ]
    return Namespace(Broker(queues, ManualClock()))


def test_broken_frames_end_their_connection_at_most(inputs: Inputs) -> None:
    """A client that sends now a good frame, now a broken one; when it is thrown out it comes again."""
    random = Random(7)
    service = namespace()
    peer, told, connections, answers = Peer(service), 0, 0, 0
    for raw in inputs(FRAMES):
        if told % FRAMES_PER_CONNECTION == 0 or peer.connection.is_closed:
            peer.connection.lost()
            answers += len(peer.heard)
            peer, told, connections = Peer(service), 0, connections + 1
            peer.begin()
        told += 1
        follow(peer, raw)
        if random.random() < 0.3:
            follow(peer, random.choice(FRAMES))
    peer.connection.lost()
    assert connections > 1
    assert answers > connections
    serve(service)


def follow(peer: Peer, body: bytes) -> None:
    """Send a frame with this body; what the connection makes of it is its business, but it must not break."""
    try:
        peer.tell(frame_bytes(0, body))
        peer.listen()
    except BaseException as exc:
        exc.add_note(f"The body of the last frame was bytes.fromhex({body.hex()!r}).")
        raise


def test_broken_streams_end_their_connection_at_most(inputs: Inputs) -> None:
    """The bytes between frames are broken, too, and so are the headers before them."""
    good = SASL_HEADER + frame_bytes(0, wire.encode(wire.SaslInit("ANONYMOUS")), kind=1) + AMQP_HEADER
    good += b"".join(frame_bytes(0, wire.encode(frame)) for frame in BEGINNING)
    service = namespace()
    ended = 0
    for raw in inputs([good, good + frame_bytes(0, FRAMES[-2]), b"".join(frame_bytes(0, frame) for frame in FRAMES)]):
        connection = Connection(service, 0.0, lambda: None)
        connection.is_authorized = True
        try:
            connection.receive(raw, 0.0)
            connection.tick(0.0)
        except BaseException as exc:
            exc.add_note(f"The input was bytes.fromhex({raw.hex()!r}).")
            raise
        ended += connection.is_closed
        connection.lost()
    assert ended > 0
    serve(service)


def serve(service: Namespace) -> None:
    """Whatever was there before: a client that behaves sends a message and gets it back."""
    peer = Peer(service)
    peer.begin()
    for frame in (
        wire.Attach("to", 3, role=False, source=wire.Source("me"), target=wire.Target(QUIET), initial_delivery_count=0),
        wire.Attach("from", 4, role=True, source=wire.Source(QUIET), target=wire.Target("me"), rcv_settle_mode=1),
        wire.Flow(0, 1000, 0, 1000, 4, 0, 1),
    ):
        peer.tell(frame_bytes(0, wire.encode(frame)))
    peer.listen()
    peer.heard.clear()

    peer.tell(frame_bytes(0, wire.encode(wire.Transfer(3, 0, b"good", 0, settled=False)) + MESSAGES[0]))
    peer.listen()

    (disposition,) = [frame for frame in peer.heard if isinstance(frame, wire.Disposition)]
    (transfer,) = [frame for frame in peer.heard if isinstance(frame, wire.Transfer)]
    assert disposition.state == wire.Accepted()
    assert transfer.handle == 4
