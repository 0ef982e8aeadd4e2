"""The messages that a record sends, derived from the record (R5).

Never stored, always the same: whoever sends them, however often, sends the same ids and bytes. So a repeated turn
repeats only harmless things.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from perdure import codec, events
from perdure.engine._envelopes import envelope, retry_wake, tasks_queue, turns_queue, wake
from perdure.engine._payloads import own_copy
from perdure.errors import Failure
from perdure.ids import Key, child_incarnation, message_id
from perdure.messages import ChildEnded, RunTask, TimerDue
from perdure.records import TurnRecord
from perdure.spi import Append, Create, Envelope, Summary

if TYPE_CHECKING:
    from perdure.engine._state import Asked, InstanceState

__all__ = ["Outbox", "creation", "is_all_sent", "outbox_of", "unsent"]


class Outbox:
    """What to create and to send, in that order."""

    __slots__ = ("create", "send")

    def __init__(self) -> None:
        self.create: list[Create] = []
        self.send: list[Envelope] = []


def outbox_of(state: InstanceState, record: TurnRecord) -> Outbox:
    """Derive what a record sends.

    Args:
        state: With the record applied; what was answered or canceled since is left out.
        record: The committed record, or the one about to be.
    """
    box = Outbox()
    for decision in record.decisions:
        match decision:
            case events.TaskScheduled() if decision.seq in state.tasks:
                box.send.append(_run_task(state, state.tasks[decision.seq]))
            case events.SubOrchestrationCreated() if decision.seq in state.children:
                box.create.append(_create_child(state, state.children[decision.seq]))
            case _:
                pass
    _add_what_is_sent_once(box, state, above=record.version - 1, upto=record.version)
    return box


def unsent(state: InstanceState) -> Outbox:
    """Derive what of all records may not have been sent: above `sent_upto`, for what is still open (R5)."""
    box = Outbox()
    box.send.extend(_run_task(state, asked) for asked in _above(state.tasks, state.sent_upto))
    box.create.extend(_create_child(state, asked) for asked in _above(state.children, state.sent_upto))
    _add_what_is_sent_once(box, state, above=state.sent_upto, upto=state.version)
    return box


def is_all_sent(state: InstanceState) -> bool:
    """Tell whether `unsent` would find nothing, without deriving it."""
    if state.sent_upto == state.version:
        return True
    versions = (
        _newest(state.tasks),
        _newest(state.children),
        _timer_version(state),
        _closing_version(state),
        _stall_version(state),
    )
    return max(versions) <= state.sent_upto


def _above(asked: dict[int, Asked], sent_upto: int) -> list[Asked]:
    """Find what newer records asked for; never looks through the older ones, which may be thousands."""
    newest_first = takewhile(lambda one: one.version > sent_upto, reversed(asked.values()))
    return list(newest_first)[::-1]


def _newest(asked: dict[int, Asked]) -> int:
    return next(reversed(asked.values())).version if asked else 0


def _timer_version(state: InstanceState) -> int:
    """Find the record whose timer message is still wanted; 0 if none is."""
    return state.timers.armed_version if state.timers.armed_at else 0


def _closing_version(state: InstanceState) -> int:
    """Find the record that tells the parent; 0 if nobody is to be told."""
    return state.closed_version if _started(state).parent is not None else 0


def _stall_version(state: InstanceState) -> int:
    """Find the record that has a stalled instance tried again; 0 if it is not stalled."""
    return state.stalled_version if state.stalled is not None else 0


def _add_what_is_sent_once(box: Outbox, state: InstanceState, *, above: int, upto: int) -> None:
    if above < _closing_version(state) <= upto:
        box.send.append(_child_ended(state))
    if above < _timer_version(state) <= upto:
        box.send.append(_timer_due(state))
    if above < _stall_version(state) <= upto:
        box.send.append(retry_wake(state, 1, state.stalled_at))


def _run_task(state: InstanceState, asked: Asked) -> Envelope:
    task = asked.event
    assert isinstance(task, events.TaskScheduled)
    message = RunTask(state.incarnation, state.execution, asked.version, _started(state).queue, task)
    name = message_id(state.incarnation, state.execution, task.seq)
    return envelope(tasks_queue(task.queue), state.key, name, message)


def _timer_due(state: InstanceState) -> Envelope:
    version = state.timers.armed_version
    name = message_id(state.incarnation, state.execution, f"t{version}")
    message = TimerDue(state.incarnation, state.execution, version)
    return envelope(turns_queue(_started(state).queue), state.key, name, message, not_before=state.timers.armed_at)


def _child_ended(state: InstanceState) -> Envelope:
    """Tell the parent how this instance ended (L4)."""
    parent, end = _started(state).parent, state.outcome
    assert parent is not None
    assert end is not None
    outcome: events.SubOrchestrationCompleted | events.SubOrchestrationFailed
    match end:
        case events.ExecutionCompleted(result):
            outcome = events.SubOrchestrationCompleted(parent.seq, result)
        case events.ExecutionFailed(failure):
            outcome = events.SubOrchestrationFailed(parent.seq, failure)
        case events.ExecutionCanceled(reason):
            outcome = events.SubOrchestrationFailed(parent.seq, Failure("perdure.Canceled", reason, retryable=False))
    message = ChildEnded(parent.incarnation, parent.execution, outcome)
    name = message_id(state.incarnation, state.execution, "end")
    return envelope(turns_queue(parent.queue), Key(parent.instance_id), name, message)


def _create_child(state: InstanceState, asked: Asked) -> Create:
    """Create a sub-orchestration store-first, idempotent by its derived incarnation (R1)."""
    child = asked.event
    assert isinstance(child, events.SubOrchestrationCreated)
    incarnation = child_incarnation(state.incarnation, state.execution, child.seq)
    started = events.ExecutionStarted(
        name=child.name,
        input=own_copy(child.input, incarnation),
        seed=child.seed,
        created_at=asked.now,
        version=child.version,
        queue=child.queue,
        tags=_started(state).tags,
        parent=events.Parent(state.key, state.incarnation, state.execution, child.seq, _started(state).queue),
    )
    append = creation(Key(child.instance_id), incarnation, started)
    return Create(
        append,
        then=wake(append.key, incarnation, append.version, child.queue),
        otherwise=_id_is_taken(state, child),
    )


def _id_is_taken(state: InstanceState, child: events.SubOrchestrationCreated) -> Envelope:
    problem = f"The instance id {child.instance_id!r} is taken."
    taken = events.SubOrchestrationFailed(child.seq, Failure("perdure.AlreadyExists", problem, retryable=False))
    name = message_id(state.incarnation, state.execution, f"{child.seq}/exists")
    message = ChildEnded(state.incarnation, state.execution, taken)
    return envelope(turns_queue(_started(state).queue), state.key, name, message)


def creation(key: Key, incarnation: str, started: events.ExecutionStarted) -> Append:
    """Make the first record of an instance: pending, nobody ran it (R1).

    Its version is the creation time in milliseconds, so that a purged id never sees a version twice (R6), and its
    turn id the incarnation, so that creating it again is recognised.
    """
    version = max(1, int(started.created_at * 1000))
    record = TurnRecord(version, incarnation, incarnation, 0, None, (started,), ())
    summary = Summary(
        key=key,
        name=started.name,
        status="Pending",
        incarnation=incarnation,
        execution=0,
        created_at=started.created_at,
        updated_at=started.created_at,
        queue=started.queue,
        version=started.version,
        tags=started.tags,
        parent=started.parent.instance_id if started.parent is not None else "",
    )
    return Append(key, incarnation, codec.encode(record), version, 0, summary, create=True)


def _started(state: InstanceState) -> events.ExecutionStarted:
    assert state.started is not None
    return state.started
