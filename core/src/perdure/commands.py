"""What orchestration code asks for: imperative, frozen, numbered by `seq` in the order of asking.

A command becomes an event when its turn is recorded. `RECORDED_AS` says which; replay compares the commands that
code gives now with the events that it gave then: kind, and `name` and target where there are any. Options (queue,
timeout, retry, fire_at) come from the record and are not compared, so that changing them stalls nothing.
"""

from __future__ import annotations

import msgspec

from perdure import events
from perdure.errors import Failure

__all__ = [
    "RECORDED_AS",
    "CancelTask",
    "CancelTimer",
    "Command",
    "Complete",
    "CreateSubOrchestration",
    "Fail",
    "ScheduleTask",
    "SetTimer",
]


class _Command(msgspec.Struct, frozen=True, gc=False):
    """What every command shares."""


class ScheduleTask(_Command, frozen=True):
    """Run an activity."""

    seq: int
    name: str
    input: bytes
    queue: str
    timeout: float
    attempt: int
    attempt_of: int
    retry: events.RetryRules | None


class CancelTask(_Command, frozen=True):
    """Tell a running activity or sub-orchestration that nobody waits for it."""

    seq: int


class CreateSubOrchestration(_Command, frozen=True):
    """Create an instance and report its outcome."""

    seq: int
    name: str
    instance_id: str
    input: bytes
    queue: str
    version: str | None
    seed: int
    attempt: int
    attempt_of: int
    retry: events.RetryRules | None


class SetTimer(_Command, frozen=True):
    """Wake the code at `fire_at`."""

    seq: int
    fire_at: float


class CancelTimer(_Command, frozen=True):
    """Forget a timer."""

    seq: int


class Complete(_Command, frozen=True):
    """Close the instance with a result."""

    result: bytes


class Fail(_Command, frozen=True):
    """Close the instance with a failure."""

    failure: Failure


Command = ScheduleTask | CancelTask | CreateSubOrchestration | SetTimer | CancelTimer | Complete | Fail

RECORDED_AS: dict[type[Command], type[events.DECISIONS]] = {
    ScheduleTask: events.TaskScheduled,
    CancelTask: events.TaskCancelRequested,
    CreateSubOrchestration: events.SubOrchestrationCreated,
    SetTimer: events.TimerCreated,
    CancelTimer: events.TimerCanceled,
    Complete: events.ExecutionCompleted,
    Fail: events.ExecutionFailed,
}
