"""What to do with a message, by the state of its instance.

    RUN        it is new: feed it to the code
    DUPLICATE  nothing new: send again what may not have been sent, then complete it (R5)
    DROP       it is for nobody: complete it
    EARLY      its time has not come: send it again for then (hop, R13)
    RELOAD     the state at hand is too old to say so: read the history first (R3)

A state from a cache may say everything but DROP: an append protects RUN, the record proves DUPLICATE, and what became
due earlier since has a message of its own (R19). DROP may only be said by the store: what a cached state does not know
may be in the newer history (R3). And a message that a newer record sent shows that the state is too old at all (R2).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from perdure.messages import ChildEnded, Message, RaiseEvent, RunTask, TaskEnded, TimerDue, Wake

if TYPE_CHECKING:
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
        now: The worker's clock, seconds since the epoch. A history whose clock is ahead of it counts by its own (R14).
        authoritative: Whether `state` was read after the message was received.
    """
    verdict = Verdict.DROP if state is None else _judge(state, message, max(now, state.now))
    if authoritative:
        return verdict
    return Verdict.RELOAD if verdict is Verdict.DROP or _is_newer(message, state) else verdict


def _is_newer(message: Message, state: InstanceState | None) -> bool:
    """Tell whether the message was produced by a record that this state has not seen (R2)."""
    return state is not None and isinstance(message, Wake | TimerDue) and message.version > state.version


def _judge(state: InstanceState, message: Message, now: float) -> Verdict:
    if message.incarnation != state.incarnation and not _is_for_whichever(message):
        return Verdict.DROP  # of an incarnation that is gone, or that this state has not heard of (S5)
    match message:
        case Wake():
            return _judge_wake(state, message, now)
        case RaiseEvent():
            return _judge_raise(state, message, now)
        case TimerDue():
            return _judge_timer(state, message, now)
        case TaskEnded() | ChildEnded():
            return _judge_outcome(state, message)
        case RunTask():
            return Verdict.DROP  # belongs in a queue of tasks


def _is_for_whichever(message: Message) -> bool:
    return isinstance(message, RaiseEvent) and not message.incarnation


def _judge_wake(state: InstanceState, message: Wake, now: float) -> Verdict:
    if state.is_closed:
        return Verdict.DUPLICATE
    if state.begins_at > now:
        return Verdict.EARLY
    if state.stalled is not None:
        # A try of an earlier time that it was stalled would start a second chain of tries beside this time's (R15).
        is_past = message.attempt > 0 and message.version < state.stalled_version
        return Verdict.DUPLICATE if is_past else Verdict.RUN
    return Verdict.RUN if state.pending else Verdict.DUPLICATE


def _judge_raise(state: InstanceState, message: RaiseEvent, now: float) -> Verdict:
    if message.event.message_id in state.raised:
        return Verdict.DUPLICATE
    if state.is_closed:
        return Verdict.DROP
    return Verdict.EARLY if state.begins_at > now else Verdict.RUN  # an event must not start an instance early


def _judge_timer(state: InstanceState, message: TimerDue, now: float) -> Verdict:
    if message.execution != state.execution:
        return Verdict.DROP
    due = state.next_due()
    if due and due <= now:
        return Verdict.RUN
    # Not the message of the earliest timer? Then that one's is under way, and this one need not wait for it.
    return Verdict.EARLY if due and message.version >= state.timers.armed_version else Verdict.DUPLICATE


def _judge_outcome(state: InstanceState, message: TaskEnded | ChildEnded) -> Verdict:
    """First recorded outcome of a task wins; a task the history never asked for gets none (S3b)."""
    if message.execution != state.execution:
        return Verdict.DROP
    if message.outcome.seq in (state.tasks if isinstance(message, TaskEnded) else state.children):
        return Verdict.RUN
    return Verdict.DUPLICATE if message.outcome.seq <= state.last_seq else Verdict.DROP
