"""What a history says about its instance: the fold of its records.

`InstanceState.apply` is the only place that interprets records; nothing here decides. Mutable for speed, but changed
by records alone: two workers that applied the same records hold equal states.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from perdure import events
from perdure.errors import Corrupt
from perdure.records import CLOSED, TurnRecord
from perdure.spi import Key, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Asked", "InstanceState", "Outcome", "fold"]

Outcome = events.ExecutionCompleted | events.ExecutionFailed | events.ExecutionCanceled

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
        tasks: Open activities by seq.
        children: Open sub-orchestrations by seq.
        timers: Open timers by seq: when they are due.
        armed_at: When the outstanding timer message is due; 0 if none is out (R19).
        armed_version: Record that sent it.
        pending: Inputs that are recorded but were not consumed by code yet, in order.
        raised: Message ids of the external events that are recorded (S4).
        last_seq: Highest seq that code used.
        stalled: Why the last turn could not run; None if it could.
    """

    __slots__ = (
        "_due",
        "armed_at",
        "armed_version",
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
        self.timers: dict[int, float] = {}
        self._due: list[tuple[float, int]] = []
        self.armed_at = 0.0
        self.armed_version = 0
        self.pending: list[events.INPUTS] = []
        self.raised: set[str] = set()
        self.last_seq = 0
        self.stalled: events.TurnFailed | None = None
        self.sent_upto = 0
        self.turn_count = 0
        self.event_count = 0
        self.history_bytes = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing more may be appended (S6)."""
        return self.status in CLOSED

    def apply(self, record: TurnRecord) -> None:
        """Take in the next record.

        Raises:
            Corrupt: It does not follow from what was before: a fork, a gap or a record after the end.
        """
        self._check(record)
        self.version = record.version
        self.incarnation = record.incarnation
        self.execution = record.execution
        self.sent_upto = max(self.sent_upto, record.sent_upto)
        self.event_count += len(record.inputs) + len(record.decisions)
        if record.turn is not None:
            self._note_turn(record.turn)
        for event in record.inputs:
            self._take_input(event)
        if record.was_run:
            self.pending.clear()
            self.stalled = None
            self.status = "Running"
        else:
            self.pending.extend(record.inputs)
        for decision in record.decisions:
            self._take_decision(decision, record.version)
        self._arm(record.version)

    def _check(self, record: TurnRecord) -> None:
        if record.version <= self.version:
            raise Corrupt(f"{self.key}: record {record.version} comes after record {self.version}.")
        if self.is_closed:
            raise Corrupt(f"{self.key}: record {record.version} follows the one that closed it.")
        if self.incarnation not in {"", record.incarnation}:
            raise Corrupt(f"{self.key}: record {record.version} belongs to another incarnation.")
        begins = bool(record.inputs) and isinstance(record.inputs[0], events.ExecutionStarted)
        if begins != (self.version == 0):
            raise Corrupt(f"{self.key}: record {record.version} is out of place: ExecutionStarted comes first, once.")

    def _note_turn(self, turn: events.TurnStarted) -> None:
        self.now = max(self.now, turn.now)
        self.turn_count += 1
        if not self.python_minor:
            self.python_minor = turn.python_minor
        if self.armed_at and self.now >= self.armed_at:
            self.armed_at = 0.0  # its message has arrived, or will and find nothing to do

    def _take_input(self, event: events.INPUTS) -> None:
        match event:
            case events.TaskCompleted() | events.TaskFailed():
                self.tasks.pop(event.seq, None)
            case events.SubOrchestrationCompleted() | events.SubOrchestrationFailed():
                self.children.pop(event.seq, None)
            case events.TimerFired():
                self.timers.pop(event.seq, None)
            case events.EventRaised():
                self.raised.add(event.message_id)
            case events.ExecutionStarted():
                self.started = event
                self.now = event.created_at

    def _take_decision(self, event: events.DECISIONS, version: int) -> None:
        match event:
            case events.TaskScheduled():
                self.tasks[event.seq] = Asked(event, version, self.now)
                self.last_seq = event.seq
            case events.TimerCreated():
                self.timers[event.seq] = event.fire_at
                heapq.heappush(self._due, (event.fire_at, event.seq))
                self.last_seq = event.seq
            case events.TimerCanceled():
                self.timers.pop(event.seq, None)
            case events.SubOrchestrationCreated():
                self.children[event.seq] = Asked(event, version, self.now)
                self.last_seq = event.seq
            case events.TaskCancelRequested():
                self.tasks.pop(event.seq, None)
                self.children.pop(event.seq, None)
            case events.TurnFailed():
                self.stalled = event
            case events.ExecutionCompleted() | events.ExecutionFailed() | events.ExecutionCanceled():
                self._close(event, version)

    def _close(self, outcome: Outcome, version: int) -> None:
        self.outcome = outcome
        self.status = STATUS_OF[type(outcome)]
        self.closed_version = version
        self.stalled = None
        self.tasks.clear()
        self.children.clear()
        self.timers.clear()
        self.pending.clear()
        self.raised.clear()

    def next_due(self) -> float:
        """Tell when the earliest open timer is due; 0 if there is none."""
        while self._due and self.timers.get(self._due[0][1]) != self._due[0][0]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else 0.0

    def _arm(self, version: int) -> None:
        """Decide that this record sends a timer message: only an earlier one than what is out (R19)."""
        earliest = self.next_due()
        if earliest and (not self.armed_at or earliest < self.armed_at):
            self.armed_at = earliest
            self.armed_version = version

    def due_timers(self, now: float) -> tuple[events.TimerFired, ...]:
        """List the timers that fire in a turn at `now`, in the order of (fire_at, seq)."""
        earliest = self.next_due()
        if not earliest or earliest > now:
            return ()
        due = sorted((fire_at, seq) for seq, fire_at in self.timers.items() if fire_at <= now)
        return tuple(events.TimerFired(seq) for _, seq in due)

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
    """Build the state of an instance from its records, in order."""
    state = InstanceState(key)
    for record in records:
        state.apply(record)
    return state
