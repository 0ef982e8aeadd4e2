"""What has happened: the entries of a history, in the past tense and frozen.

Each event has a number in the stored form. **A number is never reused and a field is only ever appended**, with a
default, so that histories of every release replay for ever. Reserved for what is to come: 4 ExecutionTerminated,
6 ExecutionContinuedAsNew, 7 ExecutionSuspended, 8 ExecutionResumed, 9 ExecutionRewound, 41 EventSent,
50 PatchMarked, 51 StatusSet.

`seq` numbers what code asked for, in the order of asking, from 1, per execution. Times are seconds since the epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DECISIONS",
    "INPUTS",
    "PAYLOAD_FIELDS",
    "EventRaised",
    "ExecutionCanceled",
    "ExecutionCompleted",
    "ExecutionFailed",
    "ExecutionStarted",
    "HistoryEvent",
    "Parent",
    "Payload",
    "PayloadRef",
    "RetryRules",
    "SubOrchestrationCompleted",
    "SubOrchestrationCreated",
    "SubOrchestrationFailed",
    "TaskCancelRequested",
    "TaskCompleted",
    "TaskFailed",
    "TaskScheduled",
    "TimerCanceled",
    "TimerCreated",
    "TimerFired",
    "TurnFailed",
    "TurnStarted",
    "payload_of",
]


class PayloadRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a payload is that was too large for the record (R16).

    Attributes:
        name: Its name among the payloads of the instance, for example `4kq…/r/17-9xw…/2`.
        length: Bytes.
        digest: First 16 hex digits of its SHA-256; reading checks it.
    """

    name: str
    length: int
    digest: str


Payload = bytes | PayloadRef
"""User data as msgpack, inline or out of line. Replay sees inline payloads only: shells resolve references first."""


class Parent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who asked for a sub-orchestration: the task `seq` of one execution of one incarnation (R10)."""

    instance_id: str
    incarnation: str
    execution: int
    seq: int
    queue: str
    """Queue of turns that the parent lives in: its outcome is sent there."""


class RetryRules(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The numbers of a retry policy, as recorded when a task was first scheduled; replay obeys these.

    Attributes:
        attempts: Most attempts, the first included; 0 means no limit.
        first_delay: Seconds before the second attempt.
        backoff: Factor between one delay and the next.
        max_delay: Longest delay in seconds.
        jitter: Part of each delay that is drawn, 0 to 1; the draw is derived from the recorded seed.
        deadline: Seconds after the first attempt was asked for, on the orchestration clock, beyond which no attempt
            begins; 0 means none.
        retry_on: Type names that are retried; empty means all.
        never_on: Type names that are not.
    """

    attempts: int = 1
    first_delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 3600.0
    jitter: float = 0.0
    deadline: float = 0.0
    retry_on: tuple[str, ...] = ()
    never_on: tuple[str, ...] = ()


class _Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every event shares: the stored form is an array that begins with the number."""


class ExecutionStarted(_Event, frozen=True, tag=1):
    """The instance was created; always the first input of an incarnation.

    `seed` feeds `uuid4`, `rng` and the order of sets; `created_at` is the creator's clock.
    """

    name: str
    input: Payload
    seed: int
    created_at: float
    version: str | None = None
    queue: str = "default"
    tags: dict[str, str] = {}
    parent: Parent | None = None
    scheduled_start: float = 0.0
    trace_context: str = ""


class ExecutionCompleted(_Event, frozen=True, tag=2):
    """The orchestration returned."""

    result: Payload


class ExecutionFailed(_Event, frozen=True, tag=3):
    """The orchestration raised."""

    failure: Failure


class ExecutionCanceled(_Event, frozen=True, tag=5):
    """The instance was closed without an outcome of its own, for example because its parent no longer wants it."""

    reason: str


class TaskScheduled(_Event, frozen=True, tag=10):
    """An activity was asked for. Attempt 2 and later are tasks of their own; `attempt_of` is the first one's seq."""

    seq: int
    name: str
    input: Payload
    queue: str = "default"
    timeout: float = 0.0
    attempt: int = 1
    attempt_of: int = 0
    retry: RetryRules | None = None


class TaskCompleted(_Event, frozen=True, tag=11):
    """An activity returned; the first recorded outcome of a task wins."""

    seq: int
    result: Payload


class TaskFailed(_Event, frozen=True, tag=12):
    """An activity raised, timed out, or could not be run."""

    seq: int
    failure: Failure


class TaskCancelRequested(_Event, frozen=True, tag=13):
    """The orchestration no longer waits for this task; a running activity is told at its next lease renewal."""

    seq: int


class SubOrchestrationCreated(_Event, frozen=True, tag=20):
    """A sub-orchestration was asked for."""

    seq: int
    name: str
    instance_id: str
    input: Payload
    queue: str = "default"
    version: str | None = None
    seed: int = 0
    attempt: int = 1
    attempt_of: int = 0
    retry: RetryRules | None = None


class SubOrchestrationCompleted(_Event, frozen=True, tag=21):
    """A sub-orchestration returned."""

    seq: int
    result: Payload


class SubOrchestrationFailed(_Event, frozen=True, tag=22):
    """A sub-orchestration raised, was canceled, or its id was taken."""

    seq: int
    failure: Failure


class TimerCreated(_Event, frozen=True, tag=30):
    """A timer was set; it fires in the first turn whose `now` is at or after `fire_at`."""

    seq: int
    fire_at: float


class TimerFired(_Event, frozen=True, tag=31):
    """A timer fired."""

    seq: int


class TimerCanceled(_Event, frozen=True, tag=32):
    """A timer is no longer wanted."""

    seq: int


class EventRaised(_Event, frozen=True, tag=40):
    """Somebody sent an external event; `message_id` is the sender's and makes it count once."""

    name: str
    input: Payload
    message_id: str


class TurnStarted(_Event, frozen=True, tag=60):
    """A worker ran the code. `now` is the orchestration clock for the whole turn; it never goes back (R14)."""

    now: float
    worker: str
    code_version: str
    python_minor: int


class TurnFailed(_Event, frozen=True, tag=61):
    """The turn could not be run: its inputs are recorded and wait, and the instance is stalled (R15)."""

    failure: Failure
    reason: str


INPUTS = (
    ExecutionStarted
    | TaskCompleted
    | TaskFailed
    | SubOrchestrationCompleted
    | SubOrchestrationFailed
    | TimerFired
    | EventRaised
)
"""What a turn consumes. Fed to the code one by one, in the order of the record."""

DECISIONS = (
    TaskScheduled
    | TaskCancelRequested
    | SubOrchestrationCreated
    | TimerCreated
    | TimerCanceled
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionCanceled
    | TurnFailed
)
"""What a turn decided, in the order of the code's asking."""

HistoryEvent = INPUTS | DECISIONS | TurnStarted

PAYLOAD_FIELDS: Mapping[type[msgspec.Struct], str] = {
    ExecutionStarted: "input",
    TaskScheduled: "input",
    SubOrchestrationCreated: "input",
    EventRaised: "input",
    TaskCompleted: "result",
    SubOrchestrationCompleted: "result",
    ExecutionCompleted: "result",
}
"""The one field of an event that holds what users pass around; the other events have none."""


def payload_of(event: msgspec.Struct) -> Payload | None:
    """Give the payload of an event; None if it has none."""
    field = PAYLOAD_FIELDS.get(type(event))
    return None if field is None else getattr(event, field)
