"""Judging one message: R2, R3, R13, R14, S3b, S4, S5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    RETURNED,
    Story,
    child,
    child_ended,
    completed,
    delivery_of,
    next_try,
    nudge,
    opened,
    raise_event,
    raised,
    task,
    task_ended,
    timer,
    timer_due,
    unable,
)

from perdure import events
from perdure.engine import Verdict, classify, envelope, hop, turns_queue
from perdure.ids import Key
from perdure.messages import Message, RunTask

if TYPE_CHECKING:
    from perdure.engine import InstanceState

NOW = EPOCH + 1000


def judge(state: InstanceState | None, message: Message, *, now: float = NOW, authoritative: bool = True) -> Verdict:
    return classify(state, message, now=now, authoritative=authoritative)


def waiting() -> Story:
    """An instance that waits for an activity (1), a sub-orchestration (2) and a timer of 2,000 seconds (3)."""
    story = Story()
    story.turn(task(1), child(2), timer(3, 2000.0), at=1.0)
    return story


def closed() -> Story:
    story = waiting()
    story.turn(RETURNED, inputs=[raised("e1")], at=2.0)
    return story


FOR_NOBODY = [
    nudge(incarnation="another"),
    timer_due(BEGUN + 1, incarnation="another"),
    timer_due(BEGUN + 1, execution=1),
    task_ended(1, incarnation="another"),
    task_ended(1, execution=1),
    task_ended(9),
    child_ended(2, incarnation="another"),
    child_ended(2, execution=1),
    child_ended(9),
    raise_event("e1", incarnation="another"),
    RunTask(INCARNATION, 0, BEGUN, "orders", task(1)),
]


@pytest.mark.parametrize("message", FOR_NOBODY, ids=repr)
def test_r2_what_is_for_another_incarnation_execution_or_task_is_dropped(message: Message) -> None:
    """A late message of a purged instance must not be consumed by the one that took over its id."""
    assert judge(waiting().state, message) is Verdict.DROP


@pytest.mark.parametrize("message", FOR_NOBODY, ids=repr)
def test_r3_a_cached_state_never_drops_a_message(message: Message) -> None:
    """What a stale history does not know may be in the newer one: a dropped completion leaves an instance stuck."""
    assert judge(waiting().state, message, authoritative=False) is Verdict.RELOAD


def test_r3_a_message_of_an_unknown_instance_is_dropped_only_after_reading() -> None:
    assert judge(None, task_ended(1)) is Verdict.DROP
    assert judge(None, task_ended(1), authoritative=False) is Verdict.RELOAD


def test_r3_an_event_for_a_closed_instance_is_dropped_only_after_reading() -> None:
    assert judge(closed().state, raise_event("e2")) is Verdict.DROP
    assert judge(closed().state, raise_event("e2"), authoritative=False) is Verdict.RELOAD


@pytest.mark.parametrize("authoritative", [True, False])
@pytest.mark.parametrize(
    "message", [task_ended(1), child_ended(2), raise_event("e1"), raise_event("e1", incarnation="")]
)
def test_r3_a_cached_state_may_run_what_it_waits_for(message: Message, authoritative: bool) -> None:  # noqa: FBT001
    """The append protects the decision: a stale worker meets a conflict."""
    assert judge(waiting().state, message, authoritative=authoritative) is Verdict.RUN


@pytest.mark.parametrize("authoritative", [True, False])
def test_r3_a_cached_state_may_recognise_a_duplicate(authoritative: bool) -> None:  # noqa: FBT001
    """The record proves it, and records do not go away."""
    story = waiting()
    story.turn(inputs=[completed(1), raised("e1")], at=2.0)

    verdicts = [judge(story.state, m, authoritative=authoritative) for m in (task_ended(1), raise_event("e1"))]

    assert verdicts == [Verdict.DUPLICATE, Verdict.DUPLICATE]


@pytest.mark.parametrize("message", [nudge(BEGUN + 9), timer_due(BEGUN + 9)], ids=repr)
def test_r2_a_message_of_a_newer_record_shows_that_the_state_is_too_old(message: Message) -> None:
    """Nothing a stale state says of it counts: neither that it is early nor that there is nothing to do."""
    assert judge(waiting().state, message, authoritative=False) is Verdict.RELOAD


def test_r2_a_message_of_a_newer_record_is_not_run_on_an_older_state() -> None:
    """The turn would run in vain: its append must meet a conflict."""
    story = waiting()
    message = timer_due(story.state.version + 1)

    assert judge(story.state, message, now=EPOCH + 3000, authoritative=False) is Verdict.RELOAD
    assert judge(story.state, message, now=EPOCH + 3000, authoritative=True) is Verdict.RUN


def test_r2_a_message_of_the_very_record_at_hand_is_judged() -> None:
    story = Story()

    assert judge(story.state, nudge(BEGUN), authoritative=False) is Verdict.RUN


def test_s5_an_event_for_whichever_incarnation_runs_in_the_current_one() -> None:
    assert judge(waiting().state, raise_event("e1", incarnation="")) is Verdict.RUN


def test_s5_an_outcome_without_incarnation_is_for_nobody() -> None:
    """Only events may be addressed to whichever is current."""
    assert judge(waiting().state, task_ended(1, incarnation="")) is Verdict.DROP


def test_s3b_the_outcome_of_a_canceled_task_is_a_duplicate() -> None:
    story = waiting()
    story.turn(events.TaskCancelRequested(1), events.TaskCancelRequested(2), at=2.0)

    assert judge(story.state, task_ended(1)) is Verdict.DUPLICATE
    assert judge(story.state, child_ended(2)) is Verdict.DUPLICATE


def test_s3b_an_outcome_of_the_other_kind_is_not_consumed() -> None:
    """An activity's outcome cannot complete a sub-orchestration that happens to have its number."""
    assert judge(waiting().state, task_ended(2)) is Verdict.DUPLICATE
    assert judge(waiting().state, child_ended(1)) is Verdict.DUPLICATE


def test_s3b_the_last_number_asked_for_divides_duplicates_from_strangers() -> None:
    story = waiting()

    assert judge(story.state, task_ended(3)) is Verdict.DUPLICATE
    assert judge(story.state, task_ended(4)) is Verdict.DROP


@pytest.mark.parametrize(
    "message", [nudge(BEGUN), task_ended(1), child_ended(2), timer_due(BEGUN + 1), raise_event("e1")]
)
def test_r5_after_the_end_what_was_recorded_is_a_duplicate(message: Message) -> None:
    """The worker that closed it may have died before it told the parent: only a duplicate sends that again (L4)."""
    assert judge(closed().state, message) is Verdict.DUPLICATE


# ---- waking ----------------------------------------------------------------------------------------------------------


def test_r1_the_first_wake_runs_an_instance() -> None:
    assert judge(Story().state, nudge()) is Verdict.RUN


def test_r1_a_second_wake_finds_nothing_to_do() -> None:
    assert judge(waiting().state, nudge()) is Verdict.DUPLICATE


def test_r8_a_wake_runs_what_was_only_recorded() -> None:
    story = waiting()
    story.note(raised("e1"))

    assert judge(story.state, nudge()) is Verdict.RUN


def test_r15_a_nudge_runs_a_stalled_instance() -> None:
    """A worker that knows it has come: it need not wait for the next try."""
    story = waiting()
    story.turn(unable(), at=2.0)

    assert judge(story.state, nudge(story.state.version)) is Verdict.RUN


# ---- an instance that is to start later ------------------------------------------------------------------------------


def later() -> Story:
    return Story(scheduled_start=EPOCH + 500.0)


@pytest.mark.parametrize("message", [nudge(), raise_event("e1"), raise_event("e1", incarnation="")], ids=repr)
def test_r13_nothing_starts_an_instance_early(message: Message) -> None:
    """Neither its wake, which a queue of short delays hands out too soon, nor an event that somebody sends."""
    assert judge(later().state, message, now=EPOCH + 499.9) is Verdict.EARLY
    assert judge(later().state, message, now=EPOCH + 500.0) is Verdict.RUN


@pytest.mark.parametrize("message", [nudge(), raise_event("e1")], ids=repr)
def test_r13_an_early_message_hops_to_the_start(message: Message) -> None:
    early = envelope(turns_queue("orders"), Key("order-1"), "m1", message)

    hopped = hop(later().state, message, delivery_of(early))

    assert hopped == envelope(turns_queue("orders"), Key("order-1"), "m1", message, not_before=EPOCH + 500.0)


def test_r13_once_begun_the_scheduled_start_counts_no_more() -> None:
    """A worker whose clock is behind must not hold up what another one has begun."""
    story = later()
    story.turn(task(1), at=500.0)
    story.note(raised("e1"))

    assert judge(story.state, nudge(), now=EPOCH + 499.0) is Verdict.RUN


def test_r13_a_first_turn_that_could_not_run_was_a_start_all_the_same() -> None:
    """The tries of a stalled instance have times of their own; one of the past must not hold them up."""
    story = later()
    story.turn(unable(), at=500.0)

    assert judge(story.state, nudge(), now=EPOCH + 499.0) is Verdict.RUN


def test_r13_an_event_that_was_recorded_before_the_start_is_a_duplicate() -> None:
    story = later()
    story.note(raised("e1"))

    assert judge(story.state, raise_event("e1"), now=EPOCH) is Verdict.DUPLICATE


# ---- timers ----------------------------------------------------------------------------------------------------------


def test_r13_a_timer_message_is_early_until_the_timer_is_due() -> None:
    story = waiting()
    message = timer_due(story.state.version)

    assert judge(story.state, message, now=EPOCH + 1999.9) is Verdict.EARLY
    assert judge(story.state, message, now=EPOCH + 2000.0) is Verdict.RUN


def test_r13_an_early_timer_message_hops_to_when_it_is_due() -> None:
    """Queues keep short delays only: the same message goes on, under its own id, and the one at hand is completed."""
    story = waiting()
    message = timer_due(story.state.version)
    early = envelope(turns_queue("orders"), Key("order-1"), "t", message, not_before=EPOCH + 900.0)

    hopped = hop(story.state, message, delivery_of(early))

    assert (hopped.message_id, hopped.body, hopped.not_before) == ("t", early.body, EPOCH + 2000.0)


def test_r13_a_message_without_a_time_of_its_own_hops_at_once() -> None:
    """Only timers and starts have a time: an outcome must never wait for a timer of its instance."""
    story = waiting()
    message = task_ended(1)

    hopped = hop(story.state, message, delivery_of(envelope(turns_queue("orders"), Key("order-1"), "m", message)))

    assert hopped.not_before == 0.0


def test_r14_a_history_whose_clock_is_ahead_counts_by_its_own() -> None:
    """A timer that is due by the record fires, though the worker's own clock is behind: `now` never goes back."""
    story = waiting()
    story.turn(inputs=[raised("e1")], at=2500.0)  # this turn took the message for its own and did not fire the timer
    assert story.state.next_due() == EPOCH + 2000.0

    assert judge(story.state, timer_due(story.state.version), now=EPOCH + 1.0) is Verdict.RUN


def test_r19_a_timer_message_without_open_timers_finds_nothing_to_do() -> None:
    story = waiting()
    story.turn(events.TimerCanceled(3), at=2.0)

    assert judge(story.state, timer_due(story.state.version - 1), now=EPOCH + 2000.0) is Verdict.DUPLICATE


def test_r19_the_message_of_a_canceled_timer_does_not_wait_for_the_next_one() -> None:
    """The next one has a message of its own; two chains would hop beside each other for months."""
    story = waiting()
    first = story.state.version
    story.turn(events.TimerCanceled(3), timer(4, 9000.0), at=2.0)

    assert judge(story.state, timer_due(first), now=EPOCH + 2000.0) is Verdict.DUPLICATE
    assert judge(story.state, timer_due(first + 1), now=EPOCH + 2000.0) is Verdict.EARLY


def test_r19_any_timer_message_fires_what_is_due() -> None:
    story = waiting()
    story.turn(timer(4, 10.0), at=2.0)

    assert judge(story.state, timer_due(story.state.version - 1), now=EPOCH + 10.0) is Verdict.RUN


# ---- tries of a stalled instance -------------------------------------------------------------------------------------


def test_r15_a_try_of_an_earlier_time_does_not_start_a_second_chain() -> None:
    """Stalled, mended by a nudge, stalled again: the Wake of the first time is still on its way."""
    story = waiting()
    story.turn(unable(), at=2.0)
    old = next_try(story.state, attempt=3)
    story.turn(task(4), at=3.0)
    story.turn(unable("again"), inputs=[raised("e1")], at=4.0)
    new = next_try(story.state, attempt=1)

    verdicts = [judge(story.state, opened(each)) for each in (old, new)]

    assert verdicts == [Verdict.DUPLICATE, Verdict.RUN]


def test_r15_a_nudge_is_no_try_and_may_be_old() -> None:
    story = waiting()
    story.turn(unable(), at=2.0)

    assert judge(story.state, nudge(BEGUN)) is Verdict.RUN
