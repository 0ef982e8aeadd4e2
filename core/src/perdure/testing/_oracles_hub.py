"""What must hold between the instances of a hub, its queues and the world. Pure; see `_oracles` for one history.

A hub at work is never consistent as a whole: what is on its way counts as there. So most of this needs a *quiet* hub:
nobody works, and every message that can be received was looked at.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perdure import events
from perdure.engine import POISONED
from perdure.ids import message_id
from perdure.messages import ChildEnded, Message, RaiseEvent, RunTask, TaskEnded
from perdure.testing._oracles import ASKS, CLOSING, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from perdure.records import TurnRecord

__all__ = [
    "Effect",
    "OnItsWay",
    "Told",
    "check_effects",
    "check_events",
    "check_families",
    "check_stalled",
    "check_work",
    "count_repeated",
    "tell",
]


class Effect(NamedTuple):
    """One line of the ledger that activities keep outside the hub: an attempt began, or had its effect.

    Attributes:
        task: `activity_info().idempotency_key`.
        attempt: `activity_info().attempt`.
        is_done: Whether the effect has happened; False is written before it.
    """

    task: str
    attempt: int
    is_done: bool


@dataclass(slots=True)
class Told:
    """What the records of one instance say in the end.

    Attributes:
        asked: Everything that its code asked for, by seq.
        answers: The recorded outcomes, by seq.
        cancelled: What its code no longer waits for.
        raised: Message ids of the recorded events.
    """

    key: str
    incarnation: str
    execution: int
    started: events.ExecutionStarted | None = None
    outcome: events.DECISIONS | None = None
    stalled: str = ""
    was_run: bool = False
    asked: dict[int, events.DECISIONS] = field(default_factory=dict[int, events.DECISIONS])
    answers: dict[int, events.INPUTS] = field(default_factory=dict[int, events.INPUTS])
    cancelled: set[int] = field(default_factory=set[int])
    raised: set[str] = field(default_factory=set[str])

    def task_id(self, seq: int) -> str:
        """Name one thing that this execution asked for."""
        return message_id(self.incarnation, self.execution, seq)

    def open(self) -> Iterator[tuple[int, events.DECISIONS]]:
        """Yield what is still asked for; nothing once the instance is closed."""
        if self.outcome is None:
            for seq, asked in self.asked.items():
                if seq not in self.answers and seq not in self.cancelled:
                    yield seq, asked


@dataclass(slots=True)
class OnItsWay:
    """What the queues of a quiet hub hold, delayed messages aside: those cannot be received.

    Attributes:
        tasks: Activities to be run or whose outcome is to be recorded.
        children: Outcomes of sub-orchestrations, by what the parent asked for.
        events: Message ids of events.
        instances: Instance ids that a message of a queue of turns is for.
        with_task: Instance ids that have an activity to be run.
        is_atomic: Whether Steps of this hub happen as a whole. If not, a message for an instance makes up for anything
            that this instance has not sent yet (R5): also that of an activity, whose outcome is then a duplicate (R17).
    """

    tasks: set[str] = field(default_factory=set[str])
    children: set[str] = field(default_factory=set[str])
    events: set[str] = field(default_factory=set[str])
    instances: set[str] = field(default_factory=set[str])
    with_task: set[str] = field(default_factory=set[str])
    is_atomic: bool = False

    def add(self, group: str, message: Message) -> None:
        """Take in one message for the instance `group`."""
        match message:
            case RunTask(incarnation, execution, task=task):
                self.tasks.add(message_id(incarnation, execution, task.seq))
                self.with_task.add(group)
                return
            case TaskEnded(incarnation, execution, outcome):
                self.tasks.add(message_id(incarnation, execution, outcome.seq))
            case ChildEnded(incarnation, execution, outcome):
                self.children.add(message_id(incarnation, execution, outcome.seq))
            case RaiseEvent(event=event):
                self.events.add(event.message_id)
            case _:
                pass
        self.instances.add(group)

    def repairs(self, key: str) -> bool:
        """Tell whether a message that is there will have an instance send again what it has not sent."""
        return not self.is_atomic and (key in self.instances or key in self.with_task)


def tell(key: str, records: Sequence[TurnRecord]) -> Told:
    """Sum up a history; at least one record."""
    told = Told(key, records[-1].incarnation, records[-1].execution)
    for record in records:
        told.was_run = told.was_run or record.was_run
        told.stalled = "" if record.was_run else told.stalled
        for given in record.inputs:
            _note_input(told, given)
        for decision in record.decisions:
            _note_decision(told, decision)
    return told


def _note_input(told: Told, given: events.INPUTS) -> None:
    match given:
        case events.ExecutionStarted():
            told.started = given
        case events.EventRaised():
            told.raised.add(given.message_id)
        case _:
            told.answers[given.seq] = given


def _note_decision(told: Told, decision: events.DECISIONS) -> None:
    if isinstance(decision, ASKS):
        told.asked[decision.seq] = decision
    elif isinstance(decision, CLOSING):
        told.outcome = decision
    elif isinstance(decision, events.TurnFailed):
        told.stalled = decision.reason
    else:
        told.cancelled.add(decision.seq)


def check_stalled(hub: Mapping[str, Told], allowed: Collection[str]) -> list[Finding]:
    """Look for instances that cannot run, those aside that are expected to."""
    stalled = [told for told in hub.values() if told.stalled and told.outcome is None and told.key not in allowed]
    return [Finding("stalled", told.key, told.stalled) for told in stalled]


def check_events(hub: Mapping[str, Told], sent: Iterable[tuple[str, str]], on_its_way: OnItsWay) -> list[Finding]:
    """Look for events that were accepted and then lost.

    Args:
        hub: Every instance.
        sent: Instance id and event id of each event whose sending returned.
        on_its_way: What the queues hold.
    """
    lost = [
        (key, event_id)
        for key, event_id in sent
        if key in hub
        and hub[key].outcome is None
        and event_id not in hub[key].raised
        and event_id not in on_its_way.events
    ]
    return [Finding("L3", key, f"event {event_id} was accepted and is nowhere") for key, event_id in lost]


def check_families(hub: Mapping[str, Told], on_its_way: OnItsWay) -> list[Finding]:
    """Compare what parents know of their sub-orchestrations with what those say themselves."""
    findings: list[Finding] = []
    for child in hub.values():
        asked_by = child.started.parent if child.started is not None else None
        parent = hub.get(asked_by.instance_id) if asked_by is not None else None
        if asked_by is None or parent is None:
            continue  # nobody's, or of a parent that is purged
        if (parent.incarnation, parent.execution) == (asked_by.incarnation, asked_by.execution):
            findings.extend(_compare(parent, asked_by.seq, child, on_its_way))
    return findings


def _compare(parent: Told, seq: int, child: Told, on_its_way: OnItsWay) -> Iterator[Finding]:
    answer = parent.answers.get(seq)
    if answer is None:
        waits = child.outcome is not None and seq in dict(parent.open())
        if waits and parent.task_id(seq) not in on_its_way.children and not on_its_way.repairs(child.key):
            yield Finding("L4", parent.key, f"sub-orchestration {seq} ({child.key!r}) has ended, and nothing says so")
    elif isinstance(answer, events.SubOrchestrationCompleted):
        if not isinstance(child.outcome, events.ExecutionCompleted):
            what = "is open" if child.outcome is None else f"ended as {type(child.outcome).__name__}"
            yield Finding("S3", parent.key, f"sub-orchestration {seq} is recorded as completed, {child.key!r} {what}")
    elif child.outcome is None:
        yield Finding("S3", parent.key, f"sub-orchestration {seq} is recorded as failed, {child.key!r} is open")


def check_work(hub: Mapping[str, Told], on_its_way: OnItsWay, now: float) -> list[Finding]:
    """Look for work that was asked for and that nobody will do.

    Args:
        hub: Every instance.
        on_its_way: What the queues hold.
        now: Wall time before they were looked into: what was due by then could be received.
    """
    open_ones = [told for told in hub.values() if told.outcome is None and not on_its_way.repairs(told.key)]
    return [finding for told in open_ones for finding in _lost_work(told, hub, on_its_way, now)]


def _lost_work(told: Told, hub: Mapping[str, Told], on_its_way: OnItsWay, now: float) -> Iterator[Finding]:
    is_woken = bool(told.stalled) or told.key in on_its_way.instances  # one that is stalled is woken by a delayed one
    begins_at = told.started.scheduled_start if told.started is not None else 0.0
    if not (told.was_run or is_woken or _is_woken_by_parent(told, on_its_way)) and begins_at <= now:
        yield Finding("L1", told.key, "it was created, and no message wakes it")
    for seq, asked in told.open():
        if isinstance(asked, events.TaskScheduled) and told.task_id(seq) not in on_its_way.tasks:
            yield Finding("L2", told.key, f"activity {asked.name!r} ({seq}) is open and has no message")
        if isinstance(asked, events.TimerCreated) and asked.fire_at <= now and not is_woken:
            yield Finding("L1", told.key, f"timer {seq} was due {now - asked.fire_at:g} s ago, and no message says so")
        child = asked.instance_id if isinstance(asked, events.SubOrchestrationCreated) else None
        if child is not None and child not in hub and told.task_id(seq) not in on_its_way.children:
            yield Finding("L1", told.key, f"sub-orchestration {child!r} ({seq}) was never created")


def _is_woken_by_parent(told: Told, on_its_way: OnItsWay) -> bool:
    """Tell whether a parent that repairs itself creates this sub-orchestration again, and so wakes it."""
    parent = told.started.parent if told.started is not None else None
    return parent is not None and on_its_way.repairs(parent.instance_id)


def check_effects(hub: Mapping[str, Told], effects: Iterable[Effect]) -> list[Finding]:
    """Compare a ledger that every activity keeps outside the hub with what is recorded.

    Args:
        hub: Every instance.
        effects: The whole ledger, in any order.
    """
    ledger = set(effects)
    findings: list[Finding] = []
    asked: set[tuple[str, int]] = set()
    for told in hub.values():
        for seq, task in told.asked.items():
            if isinstance(task, events.TaskScheduled):
                identity = (told.task_id(task.attempt_of or seq), task.attempt)
                asked.add(identity)
                findings.extend(_missing_effect(told, seq, identity, ledger))
    strange = sorted({(effect.task, effect.attempt) for effect in ledger} - asked)
    return [*findings, *(Finding("S3", "", f"{task} ran (attempt {attempt}), unasked") for task, attempt in strange)]


def _missing_effect(told: Told, seq: int, identity: tuple[str, int], ledger: set[Effect]) -> Iterator[Finding]:
    answer = told.answers.get(seq)
    if isinstance(answer, events.TaskCompleted) and Effect(*identity, is_done=True) not in ledger:
        yield Finding("effects", told.key, f"activity {seq} is recorded as completed, and was not done")
    was_run = isinstance(answer, events.TaskFailed) and answer.failure.type != POISONED
    if was_run and Effect(*identity, is_done=False) not in ledger:
        yield Finding("effects", told.key, f"activity {seq} is recorded as failed, and was never begun")


def count_repeated(effects: Iterable[Effect]) -> int:
    """Count the attempts that were begun again: what at-least-once cost."""
    begun = Counter((effect.task, effect.attempt) for effect in effects if not effect.is_done)
    return sum(count - 1 for count in begun.values())
