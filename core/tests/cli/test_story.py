"""Histories told as steps: what is one step, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from perdure import events
from perdure.cli._story import Kind, State, Step, Story, tell
from perdure.errors import Failure
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = msgspec.msgpack.encode(None)
BROKEN = Failure("RuntimeError", "printer on fire")
TWICE = events.RetryRules(attempts=3, first_delay=2.0, backoff=2.0)
STARTED = events.ExecutionStarted("invoicing", NOTHING, seed=1, created_at=100.0)


def created() -> TurnRecord:
    return TurnRecord(1, "t1", "inc", 0, None, (STARTED,), ())


def turn(version: int, now: float, inputs: Sequence[object] = (), decisions: Sequence[object] = ()) -> TurnRecord:
    started = events.TurnStarted(now, "w", "c", 11)
    return TurnRecord(version, f"t{version}", "inc", 0, started, tuple(inputs), tuple(decisions))  # type: ignore[arg-type]


def activity(
    seq: int, *, attempt: int = 1, attempt_of: int = 0, retry: events.RetryRules | None = None
) -> events.TaskScheduled:
    return events.TaskScheduled(seq, "notify", NOTHING, attempt=attempt, attempt_of=attempt_of, retry=retry)


def only_step(*records: TurnRecord) -> Step:
    (step,) = tell([created(), *records]).steps
    return step


def spans(step: Step) -> list[tuple[float, float | None, bool]]:
    return [(span.began, span.ended, span.failed) for span in step.spans]


def test_an_activity_is_open_until_its_outcome_is_recorded() -> None:
    asked = turn(2, 101.0, decisions=[activity(1)])
    returned = turn(3, 103.5, inputs=[events.TaskCompleted(1, NOTHING)])

    assert only_step(asked).state is State.OPEN
    assert only_step(asked).ended is None
    step = only_step(asked, returned)
    assert (step.kind, step.name, step.state) == (Kind.ACTIVITY, "notify", State.DONE)
    assert (step.began, step.ended) == (101.0, 103.5)


def test_attempts_and_the_waits_between_them_are_one_step() -> None:
    records = [
        turn(2, 101.0, decisions=[activity(1, retry=TWICE)]),
        turn(3, 102.0, inputs=[events.TaskFailed(1, BROKEN)], decisions=[events.TimerCreated(2, 104.0)]),
        turn(4, 104.5, inputs=[events.TimerFired(2)], decisions=[activity(3, attempt=2, attempt_of=1)]),
        turn(5, 105.0, inputs=[events.TaskFailed(3, BROKEN)], decisions=[events.TimerCreated(4, 109.0)]),
    ]

    waiting = only_step(*records)
    assert (waiting.state, waiting.due, waiting.ended) == (State.RETRYING, 109.0, None)
    records += [
        turn(6, 109.0, inputs=[events.TimerFired(4)], decisions=[activity(5, attempt=3, attempt_of=1)]),
        turn(7, 110.0, inputs=[events.TaskCompleted(5, NOTHING)]),
    ]
    done = only_step(*records)
    assert (done.state, done.due) == (State.DONE, 0.0)
    assert spans(done) == [(101.0, 102.0, True), (104.5, 105.0, True), (109.0, 110.0, False)]


def test_a_timer_of_the_code_beside_a_failure_stays_a_step() -> None:
    records = [
        turn(2, 101.0, decisions=[activity(1, retry=TWICE)]),
        turn(
            3,
            102.0,
            inputs=[events.TaskFailed(1, BROKEN)],
            decisions=[events.TimerCreated(2, 162.0), events.TimerCreated(3, 104.0)],
        ),
    ]

    step, timer = tell([created(), *records]).steps
    assert step.state is State.RETRYING
    assert (timer.kind, timer.due) == (Kind.TIMER, 162.0)


def test_one_failure_has_one_wait() -> None:
    """Code that set a timer of just the same length still has it."""
    timers = [events.TimerCreated(2, 104.0), events.TimerCreated(3, 104.0)]
    failed = turn(3, 102.0, inputs=[events.TaskFailed(1, BROKEN)], decisions=timers)

    step, timer = tell([created(), turn(2, 101.0, decisions=[activity(1, retry=TWICE)]), failed]).steps

    assert (step.state, timer.kind, timer.state) == (State.RETRYING, Kind.TIMER, State.OPEN)


def test_a_wait_begins_in_the_turn_of_the_failure() -> None:
    records = [
        turn(2, 101.0, decisions=[activity(1, retry=TWICE)]),
        turn(3, 102.0, inputs=[events.TaskFailed(1, BROKEN)]),
        turn(4, 103.0, decisions=[events.TimerCreated(2, 105.0)]),
    ]

    step, timer = tell([created(), *records]).steps

    assert (step.state, timer.kind) == (State.FAILED, Kind.TIMER)


def test_jitter_makes_a_wait_no_longer_than_it_would_be() -> None:
    jittery = events.RetryRules(attempts=2, first_delay=2.0, jitter=0.5)

    def fails_and_sets(seconds: float) -> list[Step]:
        failed = turn(
            3, 102.0, inputs=[events.TaskFailed(1, BROKEN)], decisions=[events.TimerCreated(2, 102 + seconds)]
        )
        return tell([created(), turn(2, 101.0, decisions=[activity(1, retry=jittery)]), failed]).steps

    assert [len(fails_and_sets(seconds)) for seconds in (0.9, 1.0, 1.5, 2.0, 2.1)] == [2, 1, 1, 1, 2]


def test_no_wait_follows_the_last_attempt() -> None:
    once = events.RetryRules(attempts=1, first_delay=2.0)
    failed = turn(3, 102.0, inputs=[events.TaskFailed(1, BROKEN)], decisions=[events.TimerCreated(2, 104.0)])

    step, timer = tell([created(), turn(2, 101.0, decisions=[activity(1, retry=once)]), failed]).steps

    assert (step.state, timer.kind) == (State.FAILED, Kind.TIMER)
    assert step.failure == BROKEN


def test_a_wait_whose_length_a_handler_chose_is_known_when_it_is_over() -> None:
    records = [
        turn(2, 101.0, decisions=[activity(1, retry=TWICE)]),
        turn(3, 102.0, inputs=[events.TaskFailed(1, BROKEN)], decisions=[events.TimerCreated(2, 132.0)]),
        turn(4, 132.0, inputs=[events.TimerFired(2)], decisions=[activity(3, attempt=2, attempt_of=1)]),
    ]

    step = only_step(*records)
    assert spans(step) == [(101.0, 102.0, True), (132.0, None, False)]


def test_a_timer_fires_or_is_canceled() -> None:
    asked = turn(2, 101.0, decisions=[events.TimerCreated(1, 160.0)])

    assert only_step(asked).due == 160.0
    fired = only_step(asked, turn(3, 160.5, inputs=[events.TimerFired(1)]))
    assert (fired.state, fired.ended, fired.due) == (State.DONE, 160.5, 0.0)
    canceled = only_step(asked, turn(3, 130.0, decisions=[events.TimerCanceled(1)]))
    assert (canceled.state, canceled.ended) == (State.CANCELED, 130.0)


def test_a_sub_orchestration_shows_its_instance() -> None:
    asked = turn(2, 101.0, decisions=[events.SubOrchestrationCreated(1, "ship", "order-1:1", NOTHING)])

    failed = only_step(asked, turn(3, 102.0, inputs=[events.SubOrchestrationFailed(1, BROKEN)]))

    assert (failed.kind, failed.child, failed.state) == (Kind.CHILD, "order-1:1", State.FAILED)


def test_an_event_is_a_moment() -> None:
    step = only_step(turn(2, 101.0, inputs=[events.EventRaised("payment", NOTHING, "m")]))

    assert (step.kind, step.name, step.began, step.ended) == (Kind.EVENT, "payment", 101.0, 101.0)


def test_what_is_open_when_the_instance_ends_is_canceled() -> None:
    ended = turn(3, 105.0, decisions=[events.ExecutionCompleted(NOTHING)])

    story = tell([created(), turn(2, 101.0, decisions=[activity(1), events.TimerCreated(2, 900.0)]), ended])

    assert [(step.state, step.ended) for step in story.steps] == [(State.CANCELED, 105.0)] * 2
    assert story.outcome == events.ExecutionCompleted(NOTHING)


def test_a_late_outcome_of_a_canceled_activity_changes_nothing() -> None:
    records = [
        turn(2, 101.0, decisions=[activity(1)]),
        turn(3, 102.0, decisions=[events.TaskCancelRequested(1)]),
        turn(4, 103.0, inputs=[events.TaskCompleted(1, NOTHING)]),
    ]

    assert (only_step(*records).state, only_step(*records).ended) == (State.CANCELED, 102.0)


@pytest.fixture
def stalled() -> Story:
    """An instance whose code was taken away."""
    no_code = events.TurnFailed(BROKEN, "waits for a worker that knows it")
    arrived = TurnRecord(3, "t3", "inc", 0, None, (events.EventRaised("payment", NOTHING, "m"),), ())
    return tell([created(), turn(2, 101.0, decisions=[no_code]), arrived])


def test_a_stalled_instance_keeps_what_arrived(stalled: Story) -> None:
    assert stalled.stalled is not None
    assert stalled.arrived == 2
    assert stalled.started == STARTED


def test_the_clock_of_a_story_never_goes_back() -> None:
    assert tell([created(), turn(2, 101.0), turn(3, 100.5)]).now == 101.0
    assert tell([created()]).now == 100.0
    assert tell([]).started is None
