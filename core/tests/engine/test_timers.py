"""R19: timers wake, the record decides. Only the earliest open timer has a message under way."""

from __future__ import annotations

import pytest
from engine_support import EPOCH, RETURNED, Story, raised, sent, task, timer, unable

from perdure import events
from perdure.engine import Plan, inputs_of, plan_resend
from perdure.messages import TimerDue


def armed(plan: Plan) -> list[float]:
    """Give the times, in seconds after EPOCH, of the timer messages that a turn sends."""
    assert all(message.version == plan.record.version for message in sent(plan.step.send, TimerDue))
    return [each.not_before - EPOCH for each in plan.step.send if "/t" in each.message_id]


def fired(story: Story, at: float) -> list[int]:
    return [event.seq for event in story.state.due_timers(EPOCH + at)]


def test_r19_only_the_earliest_timer_is_armed() -> None:
    plan = Story().turn(timer(1, 30.0), timer(2, 10.0), timer(3, 20.0), at=1.0)

    assert armed(plan) == [10.0]


def test_r19_of_two_that_are_due_together_the_one_asked_for_first_is_armed_once() -> None:
    story = Story()

    assert armed(story.turn(timer(1, 10.0), timer(2, 10.0), at=1.0)) == [10.0]
    assert armed(story.turn(timer(3, 10.0), at=2.0)) == []


def test_r19_a_later_timer_is_not_armed() -> None:
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)

    assert armed(story.turn(timer(2, 20.0), at=2.0)) == []


def test_r19_an_earlier_timer_is_armed_besides() -> None:
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)

    assert armed(story.turn(timer(2, 5.0), at=2.0)) == [5.0]


def test_r19_when_the_earliest_has_fired_the_next_is_armed() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), at=1.0)

    assert armed(story.turn(inputs=[events.TimerFired(1)], at=10.0)) == [20.0]


def test_r19_when_the_earliest_was_canceled_the_next_is_armed() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), at=1.0)

    assert armed(story.turn(events.TimerCanceled(1), at=2.0)) == [20.0]


def test_r19_a_timer_that_takes_the_place_of_a_canceled_one_is_armed_even_for_the_same_moment() -> None:
    """The message of the canceled one may have arrived and gone already, at a worker whose clock is ahead."""
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)
    story.turn(events.TimerCanceled(1), at=2.0)

    assert armed(story.turn(timer(2, 10.0), at=3.0)) == [10.0]


def test_r19_a_timer_that_was_overtaken_is_armed_again_when_its_time_comes() -> None:
    """Its first message was completed as a duplicate if it came while another timer was the earliest."""
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)
    story.turn(timer(2, 5.0), at=2.0)

    assert armed(story.turn(events.TimerCanceled(2), at=3.0)) == [10.0]


def test_r19_when_a_later_one_was_canceled_nothing_is_armed() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), at=1.0)

    assert armed(story.turn(events.TimerCanceled(2), at=2.0)) == []


def test_r19_a_timer_that_is_set_and_canceled_in_one_turn_is_not_armed() -> None:
    assert armed(Story().turn(timer(1, 10.0), events.TimerCanceled(1), at=1.0)) == []


def test_r19_a_turn_that_leaves_the_timers_alone_arms_nothing() -> None:
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)

    assert armed(story.turn(task(2), inputs=[raised("e1")], at=10.5)) == []


def test_r19_timers_that_fire_in_a_turn_that_cannot_run_make_room_for_the_next() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), at=1.0)

    assert armed(story.turn(unable(), inputs=[events.TimerFired(1)], at=10.0)) == [20.0]


def test_r19_a_timer_that_is_recorded_as_fired_by_nobodys_turn_makes_room_too() -> None:
    story = Story()
    story.turn(timer(1, 1.0), timer(2, 20.0), at=1.0)

    assert armed(story.note(events.TimerFired(1))) == [20.0]


def test_r19_the_end_arms_nothing() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), at=1.0)

    assert armed(story.turn(RETURNED, inputs=[events.TimerFired(1)], at=10.0)) == []


def test_r19_timers_fire_in_order_of_due_time_then_seq() -> None:
    story = Story()
    story.turn(timer(1, 30.0), timer(2, 10.0), timer(3, 20.0), timer(4, 10.0), timer(5, 40.0), at=1.0)

    assert fired(story, 9.9) == []
    assert fired(story, 10.0) == [2, 4]
    assert fired(story, 30.0) == [2, 4, 3, 1]


def test_r19_asking_what_is_due_changes_nothing() -> None:
    """A turn that then fails as the one before is not recorded, and must find the same again."""
    story = Story()
    story.turn(timer(1, 30.0), timer(2, 10.0), timer(3, 20.0), at=1.0)

    assert fired(story, 20.0) == fired(story, 20.0) == [2, 3]
    assert story.state.next_due() == EPOCH + 10.0


def test_r19_timers_come_before_the_other_inputs() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 5.0), at=1.0)

    inputs = inputs_of(story.state, [], EPOCH + 10.0)

    assert inputs == (events.TimerFired(2), events.TimerFired(1))


def test_a_canceled_timer_does_not_fire() -> None:
    story = Story()
    story.turn(timer(1, 10.0), timer(2, 20.0), timer(3, 30.0), at=1.0)
    story.turn(events.TimerCanceled(2), at=2.0)

    assert fired(story, 30.0) == [1, 3]


@pytest.mark.parametrize("fire_at", [-5.0, 0.0, EPOCH - 5.0, EPOCH + 1.0])
def test_a_timer_that_is_set_in_the_past_is_due_at_once(fire_at: float) -> None:
    """`loop.call_at(0)` is legal asyncio; 0 must not be mistaken for no timer."""
    story = Story()
    plan = story.turn(events.TimerCreated(1, fire_at), at=1.0)

    assert armed(plan) == [1.0]
    assert story.state.next_due() == EPOCH + 1.0
    assert fired(story, 1.0) == [1]


def test_timers_that_are_set_in_the_past_keep_their_order() -> None:
    story = Story()
    story.turn(timer(1, -5.0), timer(2, -10.0), timer(3, -5.0), at=1.0)

    assert fired(story, 1.0) == [2, 1, 3]


def test_r5_a_timer_message_that_may_not_have_been_sent_is_sent_again() -> None:
    story = Story()
    plan = story.turn(timer(1, 10.0), at=1.0, is_sent=False)

    assert plan_resend(story.reload()).send == plan.step.send
    assert len(plan.step.send) == 1


def test_r5_no_timer_message_is_sent_again_for_what_is_no_longer_open() -> None:
    story = Story()
    story.turn(timer(1, 10.0), at=1.0, is_sent=False)
    story.turn(events.TimerCanceled(1), at=2.0)

    assert plan_resend(story.reload()).send == ()


def test_canceled_timers_are_forgotten() -> None:
    """A loop with a timeout around each step must not hold on to the timers of all its past."""
    story = Story()
    story.turn(timer(1, 10.0), at=1.0)
    for seq in range(2, 1000):
        story.turn(timer(seq, 50.0), events.TimerCanceled(seq), at=1.0)

    assert len(story.state.timers._heap) <= 100
    assert fired(story, 60.0) == [1]


def test_forgetting_canceled_timers_keeps_the_order_of_the_open_ones() -> None:
    story = Story()
    story.turn(*[timer(seq, 100.0 - seq) for seq in range(1, 10)], at=1.0)
    for seq in range(10, 200):
        story.turn(timer(seq, 200.0), events.TimerCanceled(seq), at=1.0)

    assert fired(story, 100.0) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert story.state.next_due() == EPOCH + 91.0
