"""Planning a turn: what it consumes (S3b, S4) and what it records."""

from __future__ import annotations

import msgspec
import pytest
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    INLINE_BYTES_MAX,
    KEY,
    RETURNED,
    Story,
    as_values,
    child,
    child_ended,
    completed,
    failed,
    nudge,
    raise_event,
    raised,
    task,
    task_ended,
    timer,
    timer_due,
    turn_at,
)

from perdure import codec, commands, events
from perdure.engine import inputs_of, plan_turn, recorded
from perdure.errors import Corrupt, Failure
from perdure.messages import ChildEnded, Message, RunTask, TaskEnded
from perdure.records import TurnRecord


def waiting() -> Story:
    """An instance that waits for activities (1, 2), a sub-orchestration (3) and a timer of ten seconds (4)."""
    story = Story()
    story.turn(task(1), task(2), child(3), timer(4, 10.0), at=1.0)
    return story


def test_inputs_come_in_the_order_of_their_messages() -> None:
    messages: list[Message] = [raise_event("e2"), task_ended(2), child_ended(3), raise_event("e1"), task_ended(1)]

    inputs = inputs_of(waiting().state, messages, EPOCH + 1.0)

    assert inputs == (
        raised("e2"),
        completed(2),
        events.SubOrchestrationCompleted(3, b"\x01"),
        raised("e1"),
        completed(1),
    )


def test_s3b_of_two_outcomes_in_one_batch_the_first_wins() -> None:
    messages = [TaskEnded(INCARNATION, 0, failed(1)), task_ended(1), TaskEnded(INCARNATION, 0, failed(2))]

    assert inputs_of(waiting().state, messages, EPOCH) == (failed(1), failed(2))


def test_s3b_of_two_ends_of_a_sub_orchestration_the_first_wins() -> None:
    """Its id was taken, says one; it completed, says another: a hub that was moved, or a hand that helped."""
    no = events.SubOrchestrationFailed(3, Failure("E", "no"))

    assert inputs_of(waiting().state, [ChildEnded(INCARNATION, 0, no), child_ended(3)], EPOCH) == (no,)


def test_s4_an_event_counts_once_per_message_id_in_a_batch() -> None:
    messages = [raise_event("e1"), raise_event("e1"), raise_event("e2"), raise_event("e1", incarnation="")]

    assert inputs_of(waiting().state, messages, EPOCH) == (raised("e1"), raised("e2"))


def test_an_event_id_that_looks_like_a_number_is_no_task() -> None:
    assert inputs_of(waiting().state, [raise_event("1"), task_ended(1)], EPOCH) == (raised("1"), completed(1))


def test_r19_due_timers_are_consumed_first_though_their_message_comes_last() -> None:
    messages: list[Message] = [raise_event("e1"), timer_due(BEGUN + 1)]

    assert inputs_of(waiting().state, messages, EPOCH + 10.0) == (events.TimerFired(4), raised("e1"))


def test_r19_due_timers_fire_without_any_message() -> None:
    assert inputs_of(waiting().state, [], EPOCH + 10.0) == (events.TimerFired(4),)


def test_wakes_and_timer_messages_hold_no_input() -> None:
    messages: list[Message] = [nudge(), timer_due(BEGUN + 1), RunTask(INCARNATION, 0, BEGUN + 1, "orders", task(1))]

    assert inputs_of(waiting().state, messages, EPOCH + 1.0) == ()


# ---- commands become decisions ---------------------------------------------------------------------------------------


def test_every_command_has_the_fields_of_its_event_in_their_order() -> None:
    """`recorded` goes by position: a field that moved would be recorded under another's name."""
    for command, event in commands.RECORDED_AS.items():
        assert command.__struct_fields__ == event.__struct_fields__, command


def test_every_command_is_recorded() -> None:
    rules = events.RetryRules(attempts=3)
    failure = Failure("E", "no")

    decisions = recorded(
        [
            commands.ScheduleTask(1, "charge", b"a", "gpu", 5.0, 2, 1, rules),
            commands.CancelTask(1),
            commands.CreateSubOrchestration(2, "ship", "x", b"b", "ships", "4", 9, 2, 1, rules),
            commands.SetTimer(3, 7.0),
            commands.CancelTimer(3),
            commands.Complete(b"c"),
            commands.Fail(failure),
        ]
    )

    assert decisions == (
        events.TaskScheduled(1, "charge", b"a", "gpu", 5.0, 2, 1, rules),
        events.TaskCancelRequested(1),
        events.SubOrchestrationCreated(2, "ship", "x", b"b", "ships", "4", 9, 2, 1, rules),
        events.TimerCreated(3, 7.0),
        events.TimerCanceled(3),
        events.ExecutionCompleted(b"c"),
        events.ExecutionFailed(failure),
    )
    assert {type(decision) for decision in decisions} == set(commands.RECORDED_AS.values())


# ---- the record ------------------------------------------------------------------------------------------------------


def test_s1_the_record_follows_the_version_that_was_read() -> None:
    story = waiting()
    plan = story.turn(task(5), inputs=[completed(1)], at=2.0)

    assert plan.record == TurnRecord(
        BEGUN + 2, "turn-2", INCARNATION, 0, turn_at(EPOCH + 2.0), (completed(1),), (task(5),), BEGUN + 1
    )
    append = plan.step.append
    assert append is not None
    assert (append.key, append.turn_id, append.version, append.expected) == (KEY, "turn-2", BEGUN + 2, BEGUN + 1)
    assert append.create is False
    assert codec.decode_record(append.record, where="a test") == plan.record
    assert append.summary == story.state.summary()


def test_a_plan_leaves_completing_and_claiming_to_its_caller() -> None:
    step = waiting().turn(at=2.0).step

    assert (step.complete, step.claim) == ((), None)


def test_planning_moves_the_state_as_reading_would() -> None:
    story = waiting()
    story.turn(task(5), RETURNED, inputs=[completed(1)], at=2.0)
    moved = as_values(story.state)

    assert moved == as_values(story.reload())


def test_an_illegal_plan_changes_nothing() -> None:
    story = waiting()
    before = as_values(story.state)

    with pytest.raises(Corrupt):
        plan_turn(
            story.state,
            turn=turn_at(EPOCH + 2.0),
            turn_id="x",
            inputs=(completed(9),),
            decisions=(),
            inline_bytes_max=INLINE_BYTES_MAX,
        )

    assert as_values(story.state) == before


def test_equal_turns_are_planned_equal_byte_for_byte() -> None:
    """Pure: nothing but the arguments counts."""
    one, two = (waiting().turn(task(5), child(6), timer(7, 3.0), inputs=[completed(1)], at=2.0) for _ in range(2))

    assert msgspec.msgpack.encode(one.step) == msgspec.msgpack.encode(two.step)
    assert one == two
