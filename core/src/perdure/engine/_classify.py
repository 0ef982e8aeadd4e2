"""What to do with a message, by the state of its instance.

    RUN        it is new: feed it to the code
    DUPLICATE  it was consumed before: send again what may not have been sent, then complete it (R5)
    DROP       it is for nobody: complete it
    EARLY      its timer is not due: send it again for then (hop, R13)
    RELOAD     the state at hand is too old to say so: read the history first (R3)

A state from a cache may say RUN and DUPLICATE: an append protects the one, the record proves the other. It may never
say DROP: what it does not know may be in the newer history (R3).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from perdure.messages import ChildEnded, Message, RaiseEvent, RunTask, TaskEnded, TimerDue, Wake

if TYPE_CHECKING:
    from collections.abc import Container

    from perdure.engine._state import InstanceState

__all__ = ["Verdict", "classify"]


class Verdict(Enum):
    """What to do with a message."""

    RUN = auto()
    DUPLICATE = auto()
    DROP = auto()
    EARLY = auto()
    RELOAD = auto()


def classify(state: InstanceState | None, message: Message, *, now: float, authoritative: bool) -> Verdict:
    """Judge one message.

    Args:
        state: Of the instance it is for; None if the store knows no such instance or only its tombstone.
        message: As it was decoded.
        now: The worker's clock, seconds since the epoch.
        authoritative: Whether `state` was read after the message was received.
    """
    verdict = Verdict.DROP if state is None else _judge(state, message, now)
    if verdict is Verdict.DROP and not authoritative:
        return Verdict.RELOAD
    if verdict is Verdict.DUPLICATE and not authoritative and state is not None and _knows_more(message, state):
        return Verdict.RELOAD
    return verdict


def _knows_more(message: Message, state: InstanceState) -> bool:
    """Tell whether the message was produced by a record that this state has not seen (R2)."""
    return isinstance(message, Wake | TimerDue) and message.version > state.version


def _judge(state: InstanceState, message: Message, now: float) -> Verdict:
    if message.incarnation != state.incarnation and not _for_whichever(message):
        return Verdict.DROP  # of an incarnation that is gone, or that this state has not heard of (S5)
    match message:
        case Wake():
            return _judge_wake(state, now)
        case RaiseEvent():
            return _judge_raise(state, message)
        case TimerDue():
            return _judge_timer(state, message, now)
        case TaskEnded():
            return _judge_outcome(state, message, open_seqs=state.tasks)
        case ChildEnded():
            return _judge_outcome(state, message, open_seqs=state.children)
        case RunTask():
            return Verdict.DROP  # belongs in a queue of tasks


def _for_whichever(message: Message) -> bool:
    return isinstance(message, RaiseEvent) and not message.incarnation


def _judge_wake(state: InstanceState, now: float) -> Verdict:
    if state.is_closed:
        return Verdict.DUPLICATE
    if state.started is not None and state.turn_count == 0 and state.started.scheduled_start > now:
        return Verdict.EARLY
    return Verdict.RUN if state.pending or state.stalled is not None else Verdict.DUPLICATE


def _judge_raise(state: InstanceState, message: RaiseEvent) -> Verdict:
    if state.is_closed:
        return Verdict.DROP
    return Verdict.DUPLICATE if message.event.message_id in state.raised else Verdict.RUN


def _judge_timer(state: InstanceState, message: TimerDue, now: float) -> Verdict:
    if message.execution != state.execution:
        return Verdict.DROP
    due = state.next_due()
    if not due:
        return Verdict.DUPLICATE
    return Verdict.EARLY if due > now else Verdict.RUN


def _judge_outcome(
    state: InstanceState, message: TaskEnded | ChildEnded, *, open_seqs: Container[int]
) -> Verdict:
    """First recorded outcome of a task wins; a task the history never asked for gets none (S3b)."""
    if message.execution != state.execution:
        return Verdict.DROP
    if message.outcome.seq in open_seqs:
        return Verdict.RUN
    return Verdict.DUPLICATE if message.outcome.seq <= state.last_seq else Verdict.DROP
