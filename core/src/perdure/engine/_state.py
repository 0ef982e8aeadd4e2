"""What a history says about its instance: the fold of its records.

`InstanceState.apply` is the only place that interprets records; nothing here decides. Mutable for speed, but changed
by records alone: two workers that applied the same records hold equal states. Three exceptions, which no record tells:
`sent_upto` may run ahead of the records, `history_bytes` is counted by those who see bytes, and so is neither compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perdure import events
from perdure.engine._legal import Outcome, check
from perdure.engine._timers import Timers
from perdure.records import CLOSED, TurnRecord
from perdure.spi import Key, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Asked", "InstanceState", "Outcome", "fold"]

STATUS_OF: dict[type[events.HistoryEvent], str] = {
    events.ExecutionCompleted: "Completed",
    events.ExecutionFailed: "Failed",
    events.ExecutionCanceled: "Canceled",
}


class Asked(NamedTuple):
    """An open task or sub-orchestration: what was asked for, by which record, at what time of the orchestration."""

    event: events.TaskScheduled | events.SubOrchestrationCreated
    version: int
    now: float


class InstanceState:
    """One incarnation of an instance, as its records tell.

    Attributes:
        key: Instance id.
        version: Of the last record; 0 before the first.
        incarnation: Which creation of the instance id.
        execution: 0, 1, 2 … by continue-as-new.
        started: How it was created; None before the first record.
        status: As in `Summary`.
        outcome: How it ended; None while it is open.
        closed_version: Record that closed it; 0 while it is open.
        now: Orchestration clock of the last turn, at first the creator's; it never goes back (R14).
        python_minor: Python 3.x that first ran the code; 0 if none did.
        tasks: Open activities by seq, in the order of asking.
        children: Open sub-orchestrations by seq, in the order of asking.
        timers: Open timers, and which of them is armed (R19).
        pending: Inputs that are recorded but were not consumed by code yet, in order.
        raised: Message ids of the external events that are recorded, also once it is closed (S4).
        last_seq: Highest seq that code used.
        stalled: Why the last turn could not run; None if it could.
        stalled_version: Record that it began to be stalled with; tries of an earlier time are none of now (R15).
        stalled_at: Orchestration clock of that record.
        sent_upto: Every message of records up to this version is known to have been sent (R5).
        turn_count: Turns that were tried, those that failed included.
        event_count: Inputs and decisions in all records.
        history_bytes: Length of all records, as stored; kept up to date by whoever reads or appends them.
    """

    __slots__ = (
        "children",
        "closed_version",
        "event_count",
        "execution",
        "history_bytes",
        "incarnation",
        "key",
        "last_seq",
        "now",
        "outcome",
        "pending",
        "python_minor",
        "raised",
        "sent_upto",
        "stalled",
        "stalled_at",
        "stalled_version",
        "started",
        "status",
        "tasks",
        "timers",
        "turn_count",
        "version",
    )

    def __init__(self, key: Key) -> None:
        self.key = key
        self.version = 0
        self.incarnation = ""
        self.execution = 0
        self.started: events.ExecutionStarted | None = None
        self.status = "Pending"
        self.outcome: Outcome | None = None
        self.closed_version = 0
        self.now = 0.0
        self.python_minor = 0
        self.tasks: dict[int, Asked] = {}
        self.children: dict[int, Asked] = {}
        self.timers = Timers()
        self.pending: list[events.INPUTS] = []
        self.raised: set[str] = set()
        self.last_seq = 0
        self.stalled: events.TurnFailed | None = None
        self.stalled_version = 0
        self.stalled_at = 0.0
        self.sent_upto = 0
        self.turn_count = 0
        self.event_count = 0
        self.history_bytes = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing more may be appended (S6)."""
        return self.status in CLOSED

    @property
    def begins_at(self) -> float:
        """When its first turn may run; 0 if it may at any time, or has run."""
        return self.started.scheduled_start if self.started is not None and not self.turn_count else 0.0

    def apply(self, record: TurnRecord) -> None:
        """Take in the next record.

        Raises:
            Corrupt: It does not follow from what was before: a fork, a gap, a record after the end, an answer to
                nothing. Stop and tell a person; the state is as it was.
        """
        check(self, record)
        self.version = record.version
        self.incarnation = record.incarnation
        self.execution = record.execution
        self.sent_upto = max(self.sent_upto, record.sent_upto)
        self.event_count += len(record.inputs) + len(record.decisions)
        if record.turn is not None:
            self.now = record.turn.now
            self.turn_count += 1
        for event in record.inputs:
            self._take_input(event)
        if record.turn is not None and record.was_run:
            self.python_minor = self.python_minor or record.turn.python_minor
            self.pending.clear()
            self.stalled = None
            self.status = "Running"
        else:
            self.pending.extend(record.inputs)
        for decision in record.decisions:
            self._take_decision(decision, record.version)
        self.timers.arm(record.version, self.now)

    def _take_input(self, event: events.INPUTS) -> None:
        match event:
            case events.TaskCompleted() | events.TaskFailed():
                del self.tasks[event.seq]
            case events.SubOrchestrationCompleted() | events.SubOrchestrationFailed():
                del self.children[event.seq]
            case events.TimerFired():
                self.timers.drop(event.seq)
            case events.EventRaised():
                self.raised.add(event.message_id)
            case events.ExecutionStarted():
                self.started = event
                self.now = max(self.now, event.created_at)

    def _take_decision(self, event: events.DECISIONS, version: int) -> None:
        match event:
            case events.TaskScheduled():
                self.tasks[event.seq] = Asked(event, version, self.now)
                self.last_seq = event.seq
            case events.TimerCreated():
                self.timers.set(event.seq, event.fire_at)
                self.last_seq = event.seq
            case events.TimerCanceled():
                self.timers.drop(event.seq)
            case events.SubOrchestrationCreated():
                self.children[event.seq] = Asked(event, version, self.now)
                self.last_seq = event.seq
            case events.TaskCancelRequested():
                self.tasks.pop(event.seq, None)
                self.children.pop(event.seq, None)
            case events.TurnFailed():
                self._stall(event, version)
            case events.ExecutionCompleted() | events.ExecutionFailed() | events.ExecutionCanceled():
                self._close(event, version)

    def _stall(self, failed: events.TurnFailed, version: int) -> None:
        if self.stalled is None:
            self.stalled_version = version
            self.stalled_at = self.now
        self.stalled = failed

    def _close(self, outcome: Outcome, version: int) -> None:
        # `raised` stays: an event that is delivered again after it closed the instance is a duplicate, and the parent
        # may not have been told yet (R5, L4).
        self.outcome = outcome
        self.status = STATUS_OF[type(outcome)]
        self.closed_version = version
        self.tasks.clear()
        self.children.clear()
        self.timers.clear()

    def next_due(self) -> float:
        """Tell when the earliest open timer is due; 0 if there is none."""
        return self.timers.armed_at

    def due_timers(self, now: float) -> tuple[events.TimerFired, ...]:
        """List the timers that fire in a turn at `now`, in the order of (fire_at, seq). Changes nothing."""
        return tuple([events.TimerFired(seq) for seq in self.timers.due(now)]) if self.timers.open else ()

    def summary(self) -> Summary:
        """Describe the instance for queries."""
        started = self.started
        assert started is not None
        return Summary(
            key=self.key,
            name=started.name,
            status=self.status,
            incarnation=self.incarnation,
            execution=self.execution,
            created_at=started.created_at,
            updated_at=self.now,
            queue=started.queue,
            version=started.version,
            next_due=self.next_due(),
            stalled=self.stalled.reason if self.stalled is not None else "",
            tags=started.tags,
            parent=started.parent.instance_id if started.parent is not None else "",
        )


def fold(key: Key, records: Iterable[TurnRecord]) -> InstanceState:
    """Build the state of an instance from its records, in order.

    Raises:
        Corrupt: They are not the history of one incarnation: stop and tell a person.
    """
    state = InstanceState(key)
    for record in records:
        state.apply(record)
    return state
