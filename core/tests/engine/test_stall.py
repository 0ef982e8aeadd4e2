"""R15: what cannot run is tried again by exactly one chain of wakes, ever more slowly, and burns no message."""

from __future__ import annotations

import pytest
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    RETURNED,
    Story,
    completed,
    next_try,
    opened,
    raised,
    sent,
    task,
    timer,
    unable,
)

from perdure.engine import POISONED, Plan, plan_resend, retry_wake, stall_delay_seconds, wake
from perdure.ids import Key
from perdure.messages import Wake


def tries(plan: Plan) -> list[tuple[int, float]]:
    """Give the attempts of the wakes that a turn sends, and when they come, in seconds after the turn."""
    assert plan.record.turn is not None
    return [
        (message.attempt, envelope.not_before - plan.record.turn.now)
        for envelope in plan.step.send
        if isinstance(message := opened(envelope), Wake)
    ]


def begun() -> Story:
    story = Story()
    story.turn(task(1), task(2), at=1.0)
    return story


def test_r15_an_instance_that_begins_to_be_stalled_is_tried_again() -> None:
    assert tries(begun().turn(unable(), inputs=[completed(1)], at=2.0)) == [(1, 1.0)]


def test_r15_the_first_try_after_the_wake_that_could_not_start_it() -> None:
    assert tries(Story().turn(unable(), at=1.0, wake_attempt=0)) == [(1, 1.0)]


def test_r15_a_late_try_of_an_earlier_time_does_not_slow_down_this_time() -> None:
    story = begun()
    story.note(raised("e1"))

    assert tries(story.turn(unable(), at=2.0, wake_attempt=9)) == [(1, 1.0)]


def test_r15_an_input_of_a_stalled_instance_adds_no_second_wake() -> None:
    """One is under way already; more would multiply."""
    story = begun()
    story.turn(unable(), inputs=[completed(1)], at=2.0)

    assert tries(story.turn(unable(), inputs=[completed(2)], at=3.0)) == []


def test_r15_a_nudge_that_could_not_help_adds_no_wake() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert tries(story.turn(unable("for another reason"), at=3.0, wake_attempt=None)) == []


def test_r15_a_try_that_is_recorded_is_followed_by_the_next_one() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert tries(story.turn(unable("for another reason"), at=3.0, wake_attempt=3)) == [(4, 8.0)]


def test_r15_a_try_that_runs_ends_the_chain() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert tries(story.turn(task(3), at=3.0, wake_attempt=1)) == []


def test_r15_a_try_that_ends_the_instance_ends_the_chain() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert tries(story.turn(RETURNED, at=3.0, wake_attempt=1)) == []


def test_r15_inputs_that_are_only_recorded_add_no_wake() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert story.note(raised("e1")).step.send == ()


def test_r15_stalled_again_after_it_ran_is_a_new_chain() -> None:
    story = begun()
    story.turn(unable(), at=2.0)
    story.turn(task(3), at=3.0)

    assert tries(story.turn(unable(), inputs=[completed(1)], at=4.0)) == [(1, 1.0)]


def test_r15_a_try_names_the_record_that_the_stall_began_with() -> None:
    story = begun()
    story.turn(unable(), at=2.0)
    story.turn(unable(), inputs=[completed(1)], at=3.0)

    message = opened(next_try(story.state, attempt=5))

    assert message == Wake(INCARNATION, BEGUN + 2, 5, alone=False)


def test_r15_every_try_is_a_message_of_its_own() -> None:
    """A message that is received too often goes to the dead letters: waiting must not count as failing."""
    story = begun()
    story.turn(unable(), at=2.0)

    names = {next_try(story.state, attempt).message_id for attempt in range(1, 6)}

    assert len(names) == 5


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (8, 60.0), (2_000, 60.0), (10**9, 60.0)],
)
def test_r15_delays_double_up_to_a_minute_and_stay_there(attempt: int, seconds: float) -> None:
    """After a day of waiting the number of the try is beyond what 2.0 can be raised to."""
    assert stall_delay_seconds(attempt) == seconds


def test_r15_a_poisoned_instance_is_tried_alone() -> None:
    """Whatever took the process down must not take others along."""
    story = begun()
    plan = story.turn(unable("poisoned", kind=POISONED), at=2.0)

    assert [message.alone for message in sent(plan.step.send, Wake)] == [True]
    assert sent([next_try(story.state, attempt=2)]) == [Wake(INCARNATION, BEGUN + 2, 2, alone=True)]


def test_r15_one_that_is_not_poisoned_is_tried_among_others() -> None:
    plan = begun().turn(unable(), at=2.0)

    assert [message.alone for message in sent(plan.step.send, Wake)] == [False]


def test_r15_a_wake_says_where_and_when() -> None:
    made = wake(Key("x"), "i", 5, "orders", attempt=2, alone=True, not_before=7.0)

    assert (made.queue, made.group, made.message_id, made.not_before) == ("turns:orders", "x", "i/0/w5.2", 7.0)
    assert opened(made) == Wake("i", 5, 2, alone=True)


def test_r15_a_retry_comes_after_its_delay() -> None:
    story = begun()
    story.turn(unable(), at=2.0)

    assert retry_wake(story.state, 4, EPOCH + 100.0).not_before == EPOCH + 108.0


# ---- sending the first try again -------------------------------------------------------------------------------------


def test_r15_the_first_try_is_sent_again_if_it_may_not_have_been() -> None:
    """Else a crash between append and send would leave the instance lying, with nobody who tries it."""
    story = begun()
    plan = story.turn(unable(), inputs=[completed(1)], at=2.0, is_sent=False)
    story.reload()
    story.state.sent_upto = plan.record.version - 1

    assert plan_resend(story.state).send == plan.step.send
    assert len(plan.step.send) == 1


def test_r15_the_first_try_is_not_sent_again_once_it_is_known_to_be() -> None:
    story = begun()
    story.turn(unable(), inputs=[completed(1)], at=2.0)
    story.turn(unable(), inputs=[completed(2)], at=3.0)

    assert plan_resend(story.state).send == ()


def test_r15_no_try_is_sent_again_for_an_instance_that_runs_by_now() -> None:
    story = begun()
    story.turn(unable(), inputs=[completed(1)], at=2.0, is_sent=False)
    story.turn(timer(3, 9.0), at=3.0)

    assert sent(plan_resend(story.reload()).send, Wake) == []


def test_r5_a_turn_after_an_unsent_stall_does_not_vouch_for_it() -> None:
    story = begun()
    lost = story.turn(unable(), inputs=[completed(1)], at=2.0, is_sent=False)
    plan = story.turn(unable(), inputs=[completed(2)], at=3.0)

    assert plan.sent_upto < lost.record.version
    assert plan_resend(story.state).send == lost.step.send
