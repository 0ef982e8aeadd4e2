"""A queue without a network: messages as a client encodes them, and a receiver that keeps what it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perdure_servicebus_emulator import ManualClock, Queue
from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._broker import Broker
from perdure_servicebus_emulator._codec import NULL
from perdure_servicebus_emulator._consumer import Consumer
from perdure_servicebus_emulator._stored import Outcome, Settlement

if TYPE_CHECKING:
    from perdure_servicebus_emulator._errors import Refused
    from perdure_servicebus_emulator._message_sessions import Session
    from perdure_servicebus_emulator._queue import MessageQueue
    from perdure_servicebus_emulator._stored import Message

__all__ = ["COMPLETE", "Place", "Receiver", "data", "raw"]

COMPLETE = Settlement(Outcome.COMPLETE)
START = 1_000_000.0


def raw(
    body: str, message_id: str | None = None, session_id: str | None = None, ttl: float | None = None, due: float = 0.0
) -> bytes:
    """Encode a message. `ttl`: seconds; `due`: when it is to be enqueued."""
    sections = [codec.described(0x70, codec.list_([NULL, NULL, NULL if ttl is None else codec.uint(int(ttl * 1000))]))]
    if due:
        sections.append(
            codec.described(0x72, codec.map_({codec.symbol("x-opt-scheduled-enqueue-time"): codec.timestamp(due)}))
        )
    ids = [NULL if value is None else codec.string(value) for value in (message_id, session_id)]
    sections.append(codec.described(0x73, codec.list_([ids[0], *[NULL] * 9, ids[1]])))
    return b"".join([*sections, data(body)])


def data(body: str) -> bytes:
    """Encode the body of a message."""
    return codec.described(0x75, codec.binary(body.encode()))


class Delivery(NamedTuple):
    """What a receiver got."""

    message: Message
    token: bytes
    locked_until: float

    @property
    def text(self) -> str:
        return self.message.content.body[5:].decode()


class Receiver(Consumer):
    """Takes so many messages, and remembers what it was told."""

    def __init__(self, credit: int = 100, *, keeps_lock: bool = True) -> None:
        self.keeps_lock = keeps_lock
        self.credit = credit
        self.deliveries: list[Delivery] = []
        self.session: Session | None = None
        self.ended: Refused | None = None

    def is_ready(self) -> bool:
        return self.credit > 0

    def deliver(self, message: Message, token: bytes, locked_until: float) -> None:
        self.credit -= 1
        self.deliveries.append(Delivery(message, token, locked_until))

    def session_accepted(self, session: Session) -> None:
        self.session = session

    def end(self, refused: Refused) -> None:
        self.ended, self.session = refused, None

    @property
    def texts(self) -> list[str]:
        """The bodies of what it got."""
        return [delivery.text for delivery in self.deliveries]


class Place:
    """A broker with one queue, and its clock."""

    def __init__(self, queue: Queue) -> None:
        self.clock = ManualClock(START)
        self.broker = Broker([queue], self.clock)
        self.queue: MessageQueue = self.broker.find(queue.name)

    @property
    def dead_letters(self) -> MessageQueue:
        """The queue of its dead letters."""
        assert self.queue.dead_letters is not None
        return self.queue.dead_letters

    def send(self, *bodies: str) -> list[int]:
        """Send messages without anything but a body."""
        return self.queue.send([raw(body) for body in bodies])

    def receive(self, credit: int = 100) -> list[Delivery]:
        """Receive what is there, and leave it locked."""
        receiver = Receiver(credit)
        self.queue.ask(receiver)
        self.queue.remove_consumer(receiver)
        return receiver.deliveries

    def texts(self) -> list[str]:
        """The bodies of what is received now."""
        return [delivery.text for delivery in self.receive()]

    def let_time_pass(self, seconds: float) -> None:
        """Move the clock, and let happen what the broker said would be due."""
        self.clock.advance(seconds)
        due = self.broker.next_due()
        if due is not None and due <= self.clock.now():
            self.broker.run_due()
