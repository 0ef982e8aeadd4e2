"""Which record may come next. Whatever is not allowed here is refused before anything is taken in.

The rules are those that `plan_turn` keeps, checked again where records are read: a history that breaks one was written
by a worker with a defect, or is damaged, and whoever goes on with it makes it worse.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perdure import events
from perdure.errors import Corrupt

if TYPE_CHECKING:
    from perdure.engine._state import InstanceState
    from perdure.records import TurnRecord

__all__ = ["Outcome", "check"]

Outcome = events.ExecutionCompleted | events.ExecutionFailed | events.ExecutionCanceled
"""After a record with one of these comes none (S6)."""

Answer = (
    events.TaskCompleted
    | events.TaskFailed
    | events.SubOrchestrationCompleted
    | events.SubOrchestrationFailed
    | events.TimerFired
    | events.EventRaised
)
"""Inputs that come to an instance which has begun: each is expected once, or never."""

_ASKING = events.TaskScheduled | events.SubOrchestrationCreated | events.TimerCreated


def check(state: InstanceState, record: TurnRecord) -> None:
    """Check that a record may follow.

    Raises:
        Corrupt: It may not; the message says why. Nothing was changed.
    """
    problem = (
        _misplaced(state, record)
        or _mistimed(state, record)
        or _misformed(record)
        or _unasked(state, record)
        or _misnumbered(state, record)
    )
    if problem:
        raise Corrupt(
            f"{state.key}: record {record.version} {problem}. Its history cannot be trusted: do not change it, "
            "and restore it from a backup or purge the instance."
        )


def _misplaced(state: InstanceState, record: TurnRecord) -> str:
    """Find a fork, a gap, a record after the end or of something else (S1, S2, S6)."""
    begins = [index for index, event in enumerate(record.inputs) if isinstance(event, events.ExecutionStarted)]
    if not state.version:
        return "" if begins == [0] and record.version > 0 else "is the first and does not begin with ExecutionStarted"
    if state.is_closed:
        return f"comes after record {state.version}, which closed the instance"
    if record.version != state.version + 1:
        return f"comes after record {state.version}: something is missing or is there twice"
    if record.incarnation != state.incarnation:
        return f"is of incarnation {record.incarnation!r}, those before it are of {state.incarnation!r}"
    if record.execution != state.execution:
        return f"is of execution {record.execution}, those before it are of {state.execution}"
    return "holds ExecutionStarted, which only the first one may" if begins else ""


def _mistimed(state: InstanceState, record: TurnRecord) -> str:
    """Find a clock that went back (S8)."""
    if record.turn is None or record.turn.now >= state.now:
        return ""
    return f"was made at {record.turn.now}, which is before {state.now}, when the one before it was"


def _misformed(record: TurnRecord) -> str:
    """Find decisions that nobody can have taken together."""
    decisions = record.decisions
    if record.turn is None and decisions:
        return f"holds {type(decisions[0]).__name__}, although nobody ran the code"
    if len(decisions) <= 1:
        return ""
    if any(isinstance(decision, events.TurnFailed) for decision in decisions):
        return "holds decisions of a turn that failed"
    if any(isinstance(decision, Outcome) for decision in decisions[:-1]):
        return "goes on after it closed the instance"
    return ""


def _unasked(state: InstanceState, record: TurnRecord) -> str:
    """Find an input that answers nothing, or that was there before (S3b, S4), or a timer that is not due (S8)."""
    now = state.now if record.turn is None else record.turn.now
    answered: set[int | str] = set()
    for event in record.inputs:
        if isinstance(event, events.ExecutionStarted):
            continue  # looked at where it stands, above
        identity = event.message_id if isinstance(event, events.EventRaised) else event.seq
        if identity in answered or not _is_awaited(state, event, now):
            return f"holds {type(event).__name__} {identity!r}, which was consumed before or answers nothing"
        answered.add(identity)
    return ""


def _is_awaited(state: InstanceState, event: Answer, now: float) -> bool:
    match event:
        case events.EventRaised():
            return event.message_id not in state.raised
        case events.TimerFired():
            return state.timers.open.get(event.seq, math.inf) <= now
        case events.TaskCompleted() | events.TaskFailed():
            return event.seq in state.tasks
        case events.SubOrchestrationCompleted() | events.SubOrchestrationFailed():
            return event.seq in state.children


def _misnumbered(state: InstanceState, record: TurnRecord) -> str:
    """Find a number that code cannot have used: its outcomes would answer two things."""
    last = state.last_seq
    for decision in record.decisions:
        if isinstance(decision, _ASKING):
            if decision.seq <= last:
                return f"asks for something as number {decision.seq} after number {last}"
            last = decision.seq
    return ""
