"""What queues carry between workers and clients: bodies of envelopes, frozen and numbered like events.

Every message names the incarnation and execution it is meant for (R2); the envelope's group names the instance.
`version` is that of the record that produced the message, so that a worker whose cached history is older notices
before it runs a turn. A number is never reused and a field is only ever appended, with a default.
"""

from __future__ import annotations

import msgspec

from perdure import events

__all__ = ["ChildEnded", "Message", "RaiseEvent", "RunTask", "TaskEnded", "TimerDue", "Wake"]


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What every message shares."""


class Wake(_Message, frozen=True, tag=1):
    """Look at the instance: it was created, or it could not run and should be tried again. Holds no input.

    `attempt` counts the tries of a stalled instance; `alone` asks to be run with nothing else in the process (R15).
    """

    incarnation: str
    version: int
    attempt: int = 0
    alone: bool = False


class TimerDue(_Message, frozen=True, tag=2):
    """Look at the instance: its earliest timer should be due. The record decides which timers fire (R19)."""

    incarnation: str
    execution: int
    version: int


class RunTask(_Message, frozen=True, tag=3):
    """Run an activity; the outcome goes to the turns queue `reply_to`."""

    incarnation: str
    execution: int
    version: int
    reply_to: str
    task: events.TaskScheduled


class TaskEnded(_Message, frozen=True, tag=4):
    """An activity ended: the outcome exists only here until a turn records it."""

    incarnation: str
    execution: int
    outcome: events.TaskCompleted | events.TaskFailed


class ChildEnded(_Message, frozen=True, tag=5):
    """A sub-orchestration ended, or could not be created."""

    incarnation: str
    execution: int
    outcome: events.SubOrchestrationCompleted | events.SubOrchestrationFailed


class RaiseEvent(_Message, frozen=True, tag=6):
    """An external event. An empty incarnation means: whichever is current."""

    incarnation: str
    event: events.EventRaised
    sent_at: float


Message = Wake | TimerDue | RunTask | TaskEnded | ChildEnded | RaiseEvent
