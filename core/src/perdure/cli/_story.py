"""What a history tells, as steps: one per activity, timer, sub-orchestration and event. Pure.

Attempts of one activity are one step, with the waits between them; the timers behind those waits are no steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from perdure import events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.errors import Failure
    from perdure.records import TurnRecord

__all__ = ["Kind", "Span", "State", "Step", "Story", "tell"]

Outcome = events.ExecutionCompleted | events.ExecutionFailed | events.ExecutionCanceled
_Ended = events.TaskCompleted | events.TaskFailed | events.SubOrchestrationCompleted | events.SubOrchestrationFailed

DELAY_TOLERANCE_SECONDS = 1e-3


class Kind(Enum):
    """What a step is."""

    ACTIVITY = "activity"
    CHILD = "sub-orchestration"
    TIMER = "timer"
    EVENT = "event"


class State(Enum):
    """Where a step is."""

    OPEN = "open"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(slots=True)
class Span:
    """A time during which a step was at work; `ended` is None while it is."""

    began: float
    ended: float | None = None
    failed: bool = False


@dataclass(slots=True)
class Step:
    """One thing that an orchestration asked for, or got.

    Attributes:
        kind: What it is.
        name: Of the activity, orchestration or event; empty for a timer.
        seq: Number of its first command; 0 for an event.
        spans: One per attempt, in order.
        state: Where it is now.
        due: When a timer fires, or a retried step begins its next attempt; 0 if nothing is due.
        child: Instance id of a sub-orchestration.
        failure: What its last failed attempt ended with.
    """

    kind: Kind
    name: str
    seq: int
    spans: list[Span]
    state: State = State.OPEN
    due: float = 0.0
    child: str = ""
    failure: Failure | None = None

    @property
    def began(self) -> float:
        """When it was asked for."""
        return self.spans[0].began

    @property
    def ended(self) -> float | None:
        """When it was over; None while it is not."""
        return None if self.state in {State.OPEN, State.RETRYING} else self.spans[-1].ended


@dataclass(slots=True)
class Story:
    """A whole history.

    Attributes:
        started: How the instance began; None for an empty history.
        steps: In the order of asking and arriving.
        turns: How often code ran.
        now: Orchestration clock of the last turn.
        outcome: How it ended; None while it runs.
        stalled: Why it cannot run; None if it can.
        arrived: Inputs that are recorded and wait for code to run.
    """

    started: events.ExecutionStarted | None = None
    steps: list[Step] = field(default_factory=list[Step])
    turns: int = 0
    now: float = 0.0
    outcome: Outcome | None = None
    stalled: events.TurnFailed | None = None
    arrived: int = 0


def tell(records: Iterable[TurnRecord]) -> Story:
    """Turn the records of a history, payloads in line or not, into its story."""
    teller = _Teller()
    for record in records:
        teller.take(record)
    return teller.story


class _Teller:
    def __init__(self) -> None:
        self.story = Story()
        self._steps: dict[tuple[int, int], Step] = {}  # by execution and seq: of commands, attempts and waits
        self._rules: dict[int, events.RetryRules] = {}
        self._attempts: dict[int, int] = {}
        self._hoped: list[Step] = []  # failed in this record, and may be tried again

    def take(self, record: TurnRecord) -> None:
        story = self.story
        if record.turn is not None:
            story.now = max(story.now, record.turn.now)
            story.turns += 1
        self._hoped = []
        for event in record.inputs:
            self._input(event, record.execution)
        if record.was_run:
            story.stalled, story.arrived = None, 0
        else:
            story.arrived += len(record.inputs)
        for decision in record.decisions:
            self._decision(decision, record.execution)

    def _input(self, event: events.INPUTS, execution: int) -> None:
        story = self.story
        match event:
            case events.ExecutionStarted(created_at=created_at):
                story.started, story.now = event, max(story.now, created_at)
            case events.EventRaised(name=name):
                story.steps.append(Step(Kind.EVENT, name, 0, [Span(story.now, story.now)], State.DONE))
            case events.TimerFired(seq=seq):
                self._fired(execution, seq)
            case _:
                self._ended(event, execution)

    def _ended(self, event: _Ended, execution: int) -> None:
        step = self._steps.get((execution, event.seq))
        if step is None or step.state is not State.OPEN:
            return
        span = step.spans[-1]
        span.ended, step.state = self.story.now, State.DONE
        if isinstance(event, events.TaskFailed | events.SubOrchestrationFailed):
            span.failed, step.state, step.failure = True, State.FAILED, event.failure
            self._hoped.append(step)

    def _fired(self, execution: int, seq: int) -> None:
        step = self._steps.get((execution, seq))
        if step is not None and step.kind is Kind.TIMER:
            self._close(step, State.DONE)

    def _decision(self, event: events.DECISIONS, execution: int) -> None:
        story = self.story
        match event:
            case events.TaskScheduled():
                self._asked(event, Step(Kind.ACTIVITY, event.name, event.seq, []), execution)
            case events.SubOrchestrationCreated():
                step = Step(Kind.CHILD, event.name, event.seq, [], child=event.instance_id)
                self._asked(event, step, execution)
            case events.TimerCreated(seq=seq, fire_at=fire_at):
                self._timer(seq, fire_at, execution)
            case events.TimerCanceled(seq=seq) | events.TaskCancelRequested(seq=seq):
                self._canceled(execution, seq)
            case events.TurnFailed():
                story.stalled = event
            case _:
                self._outcome(event)

    def _asked(self, event: events.TaskScheduled | events.SubOrchestrationCreated, step: Step, execution: int) -> None:
        first = self._steps.get((execution, event.attempt_of)) if event.attempt_of else None
        if first is None:
            self.story.steps.append(step)
        else:
            step = first
            self._claim_fired_wait(step)
        step.state, step.due = State.OPEN, 0.0
        step.spans.append(Span(self.story.now))
        self._steps[execution, event.seq] = step
        self._attempts[id(step)] = event.attempt
        if event.retry is not None:
            self._rules[id(step)] = event.retry

    def _timer(self, seq: int, fire_at: float, execution: int) -> None:
        """Tell the wait before a further attempt from a timer of the code's own, by its length."""
        delay = fire_at - self.story.now
        for step in self._hoped:
            if self._is_wait_of(step, delay):
                self._hoped.remove(step)
                step.state, step.due = State.RETRYING, fire_at
                self._steps[execution, seq] = step
                return
        step = Step(Kind.TIMER, "", seq, [Span(self.story.now)], due=fire_at)
        self._steps[execution, seq] = step
        self.story.steps.append(step)

    def _is_wait_of(self, step: Step, delay: float) -> bool:
        rules, attempt = self._rules.get(id(step)), self._attempts.get(id(step), 1)
        if rules is None or (rules.attempts and attempt >= rules.attempts):
            return False
        longest = min(rules.first_delay * rules.backoff ** min(attempt - 1, 64), rules.max_delay)
        shortest = longest * (1 - rules.jitter)
        return shortest - DELAY_TOLERANCE_SECONDS <= delay <= longest + DELAY_TOLERANCE_SECONDS

    def _claim_fired_wait(self, step: Step) -> None:
        """Drop a timer that turns out to have been the wait before this attempt: a handler chose its length."""
        failed_at = step.spans[-1].ended
        for timer in reversed(self.story.steps):
            if timer.kind is Kind.TIMER and timer.began == failed_at and timer.ended == self.story.now:
                self.story.steps.remove(timer)
                return
            if timer.began < (failed_at or 0.0):
                return

    def _canceled(self, execution: int, seq: int) -> None:
        step = self._steps.get((execution, seq))
        if step is not None and step.ended is None:
            self._close(step, State.CANCELED)

    def _close(self, step: Step, state: State) -> None:
        step.state, step.due = state, 0.0
        if step.spans[-1].ended is None:
            step.spans[-1].ended = self.story.now

    def _outcome(self, event: Outcome) -> None:
        story = self.story
        story.outcome, story.stalled, story.arrived = event, None, 0
        for step in story.steps:
            if step.ended is None:
                self._close(step, State.CANCELED)
