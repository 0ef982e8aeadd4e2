"""The messages that a record sends, derived from the record (R5).

Never stored, always the same: whoever sends them, however often, sends the same ids and bytes. So a repeated turn
repeats only harmless things.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure import codec, events
from perdure.errors import Failure
from perdure.engine._payloads import own_copy
from perdure.ids import Key, child_incarnation, message_id, partition_of
from perdure.messages import ChildEnded, Message, RunTask, TimerDue, Wake
from perdure.records import TurnRecord
from perdure.spi import Append, Create, Envelope, QueueName, Summary

if TYPE_CHECKING:
    from perdure.engine._state import Asked, InstanceState

__all__ = [
    "Outbox",
    "creation",
    "envelope",
    "outbox_of",
    "tasks_queue",
    "turns_queue",
    "unsent",
    "wake",
]


def turns_queue(name: str) -> QueueName:
    """Name the queue of turns `name`."""
    return QueueName(f"turns:{name}")


def tasks_queue(name: str) -> QueueName:
    """Name the queue of activities `name`."""
    return QueueName(f"tasks:{name}")


class Outbox:
    """What to create and to send, in that order."""

    __slots__ = ("create", "send")

    def __init__(self) -> None:
        self.create: list[Create] = []
        self.send: list[Envelope] = []


def envelope(queue: QueueName, group: Key, name: str, message: Message, *, not_before: float = 0.0) -> Envelope:
    """Pack a message."""
    return Envelope(queue, name, group, codec.encode(message), not_before, partition_of(group))


def outbox_of(state: InstanceState, record: TurnRecord) -> Outbox:
    """Derive what a record sends.

    Args:
        state: With the record applied.
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
    _add_closing(box, state, record.version)
    _add_timer(box, state, record.version)
    return box


def unsent(state: InstanceState) -> Outbox:
    """Derive what of all records may not have been sent: above `sent_upto`, for what is still open (R5)."""
    box = Outbox()
    box.send.extend(_run_task(state, asked) for asked in state.tasks.values() if asked.version > state.sent_upto)
    box.create.extend(
        _create_child(state, asked)
        for asked in state.children.values()
        if asked.version > state.sent_upto
    )
    if state.closed_version > state.sent_upto:
        _add_closing(box, state, state.closed_version)
    if state.armed_at and state.armed_version > state.sent_upto:
        _add_timer(box, state, state.armed_version)
    return box


def _run_task(state: InstanceState, asked: Asked) -> Envelope:
    task = asked.event
    assert isinstance(task, events.TaskScheduled)
    message = RunTask(state.incarnation, state.execution, asked.version, _started(state).queue, task)
    name = message_id(state.incarnation, state.execution, task.seq)
    return envelope(tasks_queue(task.queue), state.key, name, message)


def _add_timer(box: Outbox, state: InstanceState, version: int) -> None:
    if state.armed_version == version and state.armed_at:
        name = message_id(state.incarnation, state.execution, f"t{version}")
        message = TimerDue(state.incarnation, state.execution, version)
        queue = turns_queue(_started(state).queue)
        box.send.append(envelope(queue, state.key, name, message, not_before=state.armed_at))


def _add_closing(box: Outbox, state: InstanceState, version: int) -> None:
    """Tell the parent, if there is one, how this instance ended (L4)."""
    parent = _started(state).parent
    if state.closed_version != version or parent is None:
        return
    outcome: events.SubOrchestrationCompleted | events.SubOrchestrationFailed
    match state.outcome:
        case events.ExecutionCompleted(result):
            outcome = events.SubOrchestrationCompleted(parent.seq, result)
        case events.ExecutionFailed(failure):
            outcome = events.SubOrchestrationFailed(parent.seq, failure)
        case events.ExecutionCanceled(reason):
            outcome = events.SubOrchestrationFailed(parent.seq, Failure("perdure.Canceled", reason, retryable=False))
        case None:
            raise AssertionError  # closed_version is set together with the outcome
    message = ChildEnded(parent.incarnation, parent.execution, outcome)
    name = message_id(state.incarnation, state.execution, "end")
    box.send.append(envelope(turns_queue(parent.queue), Key(parent.instance_id), name, message))


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
    taken = events.SubOrchestrationFailed(
        child.seq,
        Failure("perdure.AlreadyExists", f"The instance id {child.instance_id!r} is taken.", retryable=False),
    )
    return Create(
        append,
        then=wake(append.key, incarnation, append.version, child.queue),
        otherwise=envelope(
            turns_queue(_started(state).queue),
            state.key,
            message_id(state.incarnation, state.execution, f"{child.seq}/exists"),
            ChildEnded(state.incarnation, state.execution, taken),
        ),
    )


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


def wake(
    key: Key,
    incarnation: str,
    version: int,
    queue: str,
    *,
    attempt: int = 0,
    alone: bool = False,
    not_before: float = 0.0,
) -> Envelope:
    """Make a message that says: look at this instance."""
    name = message_id(incarnation, 0, f"w{version}.{attempt}")
    message = Wake(incarnation, version, attempt, alone)
    return envelope(turns_queue(queue), key, name, message, not_before=not_before)


def _started(state: InstanceState) -> events.ExecutionStarted:
    assert state.started is not None
    return state.started
