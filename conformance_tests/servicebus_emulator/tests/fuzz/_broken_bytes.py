"""Bytes as a broken or hostile client may send them: whole ones with some damage, and some that never were whole."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, cast

from azure.servicebus import ServiceBusMessage
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._transport._pyamqp_transport import PyamqpTransport
from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _performatives as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["BATCH", "FRAMES", "MAPS", "MESSAGES", "broken", "hurt"]

TELLING = bytes.fromhex("00 01 7f 80 ff 40 41 42 43 44 45 53 56 70 71 80 83 98 a0 a1 a3 b0 b1 b3 c0 c1 d0 d1 e0 f0")
"""Bytes that mean something: constructors of AMQP, and the ends of ranges."""


def _message(body: bytes, **properties: Any) -> bytes:
    message = ServiceBusMessage(body, **properties)
    outgoing = PyamqpTransport.to_outgoing_amqp_message(message.raw_amqp_message)
    return bytes(encode_payload(bytearray(), outgoing))


MESSAGES = [
    _message(b"body", message_id="short"),
    _message(b"x" * 300, message_id="id", session_id="session", time_to_live=timedelta(seconds=3)),
    _message(
        b"",
        message_id="told",
        subject="subject",
        application_properties={"text": "täxt", "number": 2**31 - 1, "real": 1.5, "yes": True},
    ),
]
BATCH = b"".join(b"\x00\x53\x75\xb0" + len(message).to_bytes(4, "big") + message for message in MESSAGES)

FRAMES = [
    *[
        wire.encode(cast("wire.Composite", frame))
        for frame in (
            wire.Open("container", "host", 65_536, 1, 60_000, properties={"product": "test", "number": 1}),
            wire.Begin(None, 0, 100, 100, 255),
            wire.Attach(
                "in", 0, role=False, source=wire.Source("me"), target=wire.Target("q"), initial_delivery_count=0
            ),
            wire.Attach("out", 1, role=True, source=wire.Source("q"), target=wire.Target("me"), rcv_settle_mode=1),
            wire.Attach("s", 2, role=True, source=wire.Source("s", filter={"x": "y"}), target=wire.Target("me")),
            wire.Flow(0, 100, 0, 100, 1, 0, 10, drain=False, echo=True),
            wire.Flow(0, 100, 0, 100, 1, 0, 10, drain=True),
            wire.Disposition(role=True, first=0, last=3, settled=False, state=wire.Accepted()),
            wire.Disposition(role=True, first=0, state=wire.Modified(delivery_failed=True, undeliverable_here=True)),
            wire.Disposition(
                role=True,
                first=1,
                state=wire.Rejected(wire.AmqpError("com.microsoft:dead-letter", "d", {"DeadLetterReason": "r"})),
            ),
            wire.Detach(0, closed=True, error=wire.AmqpError("amqp:link:detach-forced", "why", {})),
            wire.End(),
            wire.Close(),
        )
    ],
    *[wire.encode(wire.Transfer(0, number, b"tag0", 0, settled=False)) + raw for number, raw in enumerate(MESSAGES)],
    wire.encode(wire.Transfer(0, 9, b"tag9", 0x80013700, settled=False)) + BATCH,
    wire.encode(wire.Transfer(0, 10, b"taga", 0, settled=False, more=True)) + MESSAGES[1][:100],
]
"""One body of each kind of frame."""

MAPS = [
    codec.map_({}),
    codec.map_({codec.symbol("key"): codec.string("täxt"), codec.string("other"): codec.long(-7)}),
    codec.map_({codec.uint(number): codec.list_([codec.binary(b"x" * number)]) for number in range(40)}),
]


def _flip(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _telling(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    data[random.randrange(len(data))] = random.choice(TELLING)


def _cut(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    del data[random.randrange(len(data)) :]


def _leave_out(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    begin = random.randrange(len(data))
    del data[begin : begin + random.randrange(1, 9)]


def _repeat(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    begin = random.randrange(len(data))
    data[begin:begin] = data[begin : begin + random.randrange(1, 33)] * random.randrange(1, 20)


def _put(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    place = random.randrange(len(data))
    data[place:place] = random.randbytes(random.randrange(1, 9))


def _graft(random: Random, data: bytearray, whole: Sequence[bytes]) -> None:
    other = random.choice(whole)
    begin = random.randrange(len(other))
    place = random.randrange(len(data))
    data[place : place + random.randrange(40)] = other[begin : begin + random.randrange(40)]


def _length(random: Random, data: bytearray, _whole: Sequence[bytes]) -> None:
    place = random.randrange(len(data))
    data[place : place + 4] = random.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 65_535)).to_bytes(4, "big")


HURTS: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    *(_flip, _telling, _telling, _cut, _leave_out, _repeat, _put, _graft, _length),
)


def hurt(random: Random, whole: Sequence[bytes]) -> bytes:
    """Damage one of these in up to four places; one in fifty is bytes of no origin."""
    if random.random() < 0.02:
        return random.randbytes(random.randrange(1, 64))
    data = bytearray(random.choice(whole))
    for _ in range(random.randrange(1, 5)):
        if data:
            random.choice(HURTS)(random, data, whole)
    return bytes(data)


def broken(whole: Sequence[bytes], count: int, seed: str) -> Iterator[bytes]:
    """Give so many damaged ones, always the same for a seed."""
    random = Random(seed)
    for _ in range(count):
        yield hurt(random, whole)
