"""One sample of everything that is stored or sent, with every field filled, and how to take bytes apart."""

from __future__ import annotations

import struct
import zlib
from typing import Any, get_args

import msgspec

from perdure import events
from perdure.errors import Failure
from perdure.messages import ChildEnded, Message, RaiseEvent, RunTask, TaskEnded, TimerDue, Wake
from perdure.records import TurnRecord

EVENT_KINDS: tuple[type[msgspec.Struct], ...] = get_args(events.HistoryEvent)
MESSAGE_KINDS: tuple[type[msgspec.Struct], ...] = get_args(Message)

EPOCH = 1_700_000_000.25
VERSION = 1_700_000_000_250
HEADER_BYTES = 7

PAYLOAD = msgspec.msgpack.encode({"order": 4711, "lines": ["a", 2.5, None, True], "ü": "€"})
REFERENCE = events.PayloadRef("4kq/r/17-9xw/2", 123_456, "0123456789abcdef")
RULES = events.RetryRules(
    attempts=5,
    first_delay=0.5,
    backoff=3.0,
    max_delay=60.0,
    jitter=0.1,
    deadline=900.0,
    retry_on=("TimeoutError", "shop.Busy"),
    never_on=("shop.Declined",),
)
CAUSE = Failure("KeyError", "'x'", "File …", notes=("seen twice",))
FAILURE = Failure(
    type="shop.PaymentDeclined",
    message="no money",
    traceback='  File "shop.py", line 3',
    cause=CAUSE,
    context=Failure("OSError", ""),
    members=(Failure("ValueError", "1"), Failure("TypeError", "2", retryable=False)),
    notes=("order 4711",),
    retryable=False,
)
PARENT = events.Parent("the-parent", "parent-incarnation", 3, 7, "parents")

_SAMPLES: tuple[events.HistoryEvent, ...] = (
    events.ExecutionStarted(
        name="invoicing",
        input=PAYLOAD,
        seed=2**55 + 1,
        created_at=EPOCH,
        version="3",
        queue="orders",
        tags={"customer": "7", "$odd": "ü"},
        parent=PARENT,
        scheduled_start=EPOCH + 60,
        trace_context="00-trace",
    ),
    events.ExecutionCompleted(PAYLOAD),
    events.ExecutionFailed(FAILURE),
    events.ExecutionCanceled("the parent no longer waits for it"),
    events.TaskScheduled(1, "issue_invoice", PAYLOAD, "gpu", 30.5, 2, 1, RULES),
    events.TaskCompleted(1, PAYLOAD),
    events.TaskFailed(1, FAILURE),
    events.TaskCancelRequested(1),
    events.SubOrchestrationCreated(2, "shipping", "order-1:2", PAYLOAD, "ships", "4", 99, 2, 1, RULES),
    events.SubOrchestrationCompleted(2, PAYLOAD),
    events.SubOrchestrationFailed(2, FAILURE),
    events.TimerCreated(3, EPOCH + 86_400),
    events.TimerFired(3),
    events.TimerCanceled(3),
    events.EventRaised("payment", PAYLOAD, "message-1"),
    events.TurnStarted(EPOCH + 1, "worker-1", "code-1", 12),
    events.TurnFailed(FAILURE, "waits for a worker that knows it"),
)
SAMPLES: dict[str, Any] = {type(sample).__name__: sample for sample in _SAMPLES}

_MESSAGES: tuple[Message, ...] = (
    Wake("first", VERSION, 3, alone=True),
    TimerDue("first", 2, VERSION),
    RunTask("first", 2, VERSION, "orders", SAMPLES["TaskScheduled"]),
    TaskEnded("first", 2, SAMPLES["TaskFailed"]),
    ChildEnded("first", 2, SAMPLES["SubOrchestrationCompleted"]),
    RaiseEvent("first", SAMPLES["EventRaised"], EPOCH),
)
MESSAGES: dict[str, Message] = {type(message).__name__: message for message in _MESSAGES}


def record_of(event: events.HistoryEvent) -> TurnRecord:
    """Write a record around one event, wherever such an event stands."""
    turn = event if isinstance(event, events.TurnStarted) else SAMPLES["TurnStarted"]
    inputs = (event,) if isinstance(event, events.INPUTS) else ()
    decisions = (event,) if isinstance(event, events.DECISIONS) else ()
    return TurnRecord(VERSION, "turn-1", "first", 2, turn, inputs, decisions, VERSION - 1)


def sealed(body: object, *, major: int = 1, codec: int = 1, magic: int = 0xD7) -> bytes:
    """Write plain values as another release might: an array instead of a record, under a right checksum."""
    packed = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    return struct.pack(">BBBI", magic, major, codec, zlib.crc32(bytes((major, codec)) + packed)) + packed


def opened(data: bytes) -> list[Any]:
    """Take bytes apart into plain values."""
    plain: list[Any] = msgspec.msgpack.decode(data[HEADER_BYTES:])
    return plain
