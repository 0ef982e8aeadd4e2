"""What must be the same when code runs again, and how a difference is explained.

    command                 compared with the record        taken from the record
    ScheduleTask            kind, seq, name, attempt        queue, timeout, retry
    CreateSubOrchestration  kind, seq, name, attempt,       queue, version, retry, seed, and the instance id
                            instance id if code gave one    where it is derived
    SetTimer                kind, seq                       fire_at
    CancelTask, CancelTimer kind, seq
    Complete, Fail          kind

Inputs are not compared: a new field with a default must not stall running instances. A different one is a warning.
"""

from __future__ import annotations

from perdure.commands import (
    CancelTask,
    CancelTimer,
    Command,
    Complete,
    CreateSubOrchestration,
    Fail,
    ScheduleTask,
    SetTimer,
)
from perdure.errors import NotDeterministic
from perdure.events import (
    DECISIONS,
    ExecutionCompleted,
    ExecutionFailed,
    SubOrchestrationCreated,
    TaskCancelRequested,
    TaskScheduled,
    TimerCanceled,
    TimerCreated,
)

__all__ = ["COMPARED", "describe", "input_differs", "is_same", "mismatch"]

COMPARED: dict[type[Command], tuple[str, ...]] = {
    ScheduleTask: ("seq", "name", "attempt"),
    CreateSubOrchestration: ("seq", "name", "attempt", "instance_id"),
    SetTimer: ("seq",),
    CancelTask: ("seq",),
    CancelTimer: ("seq",),
    Complete: (),
    Fail: (),
}


def is_same(recorded: DECISIONS, asked: Command, *, is_target_derived: bool) -> bool:
    """Tell whether code asks for what is recorded; that both are of one kind is known."""
    for field in COMPARED[type(asked)]:
        if getattr(recorded, field) != getattr(asked, field) and not (is_target_derived and field == "instance_id"):
            return False
    return True


def input_differs(recorded: DECISIONS, asked: Command) -> bool:
    """Tell whether the same call is now made with other arguments. Inputs that went out of line are not looked at."""
    if not isinstance(asked, ScheduleTask | CreateSubOrchestration):
        return False
    then = getattr(recorded, "input", None)
    return isinstance(then, bytes) and then != asked.input


def describe(what: DECISIONS | Command | None) -> str:  # noqa: PLR0911 - one line per kind
    """Say in a few words what was recorded or asked for."""
    match what:
        case None:
            return "nothing"
        case TaskScheduled() | ScheduleTask():
            return f"activity {what.name!r} (seq {what.seq}{_attempt(what.attempt)})"
        case SubOrchestrationCreated() | CreateSubOrchestration():
            return f"sub-orchestration {what.name!r} as {what.instance_id!r} (seq {what.seq}{_attempt(what.attempt)})"
        case TimerCreated() | SetTimer():
            return f"a timer (seq {what.seq})"
        case TimerCanceled() | CancelTimer():
            return f"cancelling the timer of seq {what.seq}"
        case TaskCancelRequested() | CancelTask():
            return f"cancelling the call of seq {what.seq}"
        case ExecutionCompleted() | Complete():
            return "the end: it returned"
        case ExecutionFailed() | Fail():
            return "the end: it raised"
        case _:
            return type(what).__name__


def _attempt(attempt: int) -> str:
    return f", attempt {attempt}" if attempt > 1 else ""


def mismatch(
    instance_id: str, index: int, recorded: DECISIONS | None, asked: Command | None, code_line: str
) -> NotDeterministic:
    """Explain a replay that left its record.

    Args:
        instance_id: Whose record.
        index: Which decision of the execution, from 1.
        recorded: What the record holds there; None if its turn holds no further decision.
        asked: What the code asks for; None if it asks for nothing further.
        code_line: Where the code asks, or waits.
    """
    return NotDeterministic(
        f"{instance_id}: decision {index} of the record is {describe(recorded)}, the code now asks for "
        f"{describe(asked)}, at {code_line}. Likely causes: the code was changed under a running instance; it "
        "depends on something that is not recorded (clock, randomness, environment, global state, order of a set); "
        "or the input is decoded differently now. Give the new code a new version, or let this instance finish on "
        "the old code; use perdure.now(), uuid4() and rng(), and activities for everything outside."
    )
