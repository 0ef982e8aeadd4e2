"""What records send: derived, the same at every derivation (R1, R2, R5, L4)."""

from __future__ import annotations

import msgspec
import pytest
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    KEY,
    PARENT,
    RETURNED,
    Story,
    child,
    completed,
    opened,
    raised,
    sent,
    started,
    task,
    timer,
    unable,
)

from perdure import codec, events
from perdure.engine import creation, fold, plan_resend, tasks_queue, turns_queue
from perdure.engine._outbox import Outbox, is_all_sent, outbox_of
from perdure.errors import Failure
from perdure.ids import Key, child_incarnation, partition_of
from perdure.messages import ChildEnded, RunTask, TimerDue, Wake

CHILD_KEY = Key("order-1:2")
CHILD_INCARNATION = child_incarnation(INCARNATION, 0, 2)


def test_r2_a_task_message_says_whose_it_is_and_who_sent_it() -> None:
    story = Story()
    (envelope,) = story.turn(task(1, queue="gpu"), at=1.0).step.send

    assert envelope.queue == tasks_queue("gpu") == "tasks:gpu"
    assert envelope.message_id == f"{INCARNATION}/0/1"
    assert (envelope.group, envelope.partition, envelope.not_before) == (KEY, partition_of(KEY), 0.0)
    assert opened(envelope) == RunTask(INCARNATION, 0, BEGUN + 1, "orders", task(1, queue="gpu"))


def test_r2_a_timer_message_says_which_record_armed_it() -> None:
    story = Story()
    story.turn(at=1.0)
    (envelope,) = story.turn(timer(1, 10.0), at=1.0).step.send

    assert envelope.queue == turns_queue("orders") == "turns:orders"
    assert envelope.message_id == f"{INCARNATION}/0/t{BEGUN + 2}"
    assert (envelope.group, envelope.not_before) == (KEY, EPOCH + 10.0)
    assert opened(envelope) == TimerDue(INCARNATION, 0, BEGUN + 2)


def test_messages_leave_in_the_order_of_asking() -> None:
    plan = Story().turn(task(1), child(2), task(3), child(4), at=1.0)

    assert [message.task.seq for message in sent(plan.step.send, RunTask)] == [1, 3]
    assert [create.append.key for create in plan.step.create] == ["order-1:2", "order-1:4"]


def test_what_is_canceled_in_the_same_turn_is_not_sent() -> None:
    plan = Story().turn(
        task(1), child(2), events.TaskCancelRequested(1), events.TaskCancelRequested(2), task(3), at=1.0
    )

    assert plan.step.create == ()
    assert [message.task.seq for message in sent(plan.step.send)] == [3]


def test_what_a_closing_turn_asked_for_is_not_sent() -> None:
    plan = Story().turn(task(1), child(2), timer(3, 10.0), RETURNED, at=1.0)

    assert (plan.step.create, plan.step.send) == ((), ())


def test_inputs_that_nobody_ran_send_nothing() -> None:
    plan = Story().note(raised("e1"))

    assert (plan.step.create, plan.step.send) == ((), ())


# ---- creating instances ----------------------------------------------------------------------------------------------


def test_r1_a_creation_is_a_pending_record_under_its_own_condition() -> None:
    given = started(version="3", tags={"customer": "7"}, parent=PARENT)

    append = creation(KEY, INCARNATION, given)

    assert (append.key, append.turn_id, append.expected, append.create) == (KEY, INCARNATION, 0, True)
    record = codec.decode_record(append.record, where="a test")
    assert (record.turn, record.inputs, record.decisions) == (None, (given,), ())
    assert (record.version, record.incarnation, record.execution) == (append.version, INCARNATION, 0)
    assert append.summary == fold(KEY, [record]).summary()


def test_r6_the_first_version_is_the_creation_time_in_milliseconds() -> None:
    """An id that was purged never sees a version twice, even when its tombstone is gone."""
    assert creation(KEY, INCARNATION, started(created_at=1234.5678)).version == 1_234_567
    assert creation(KEY, INCARNATION, started(created_at=0.0)).version == 1


def test_r1_a_sub_orchestration_is_created_store_first() -> None:
    story = Story(tags={"customer": "7"})
    (create,) = story.turn(task(1), child(2, version="4", seed=99), at=1.0).step.create

    record = codec.decode_record(create.append.record, where="a test")
    assert record.inputs == (
        events.ExecutionStarted(
            name="shipping",
            input=b"\xc0",
            seed=99,
            created_at=EPOCH + 1.0,
            version="4",
            queue="ships",
            tags={"customer": "7"},
            parent=events.Parent(KEY, INCARNATION, 0, 2, "orders"),
        ),
    )
    assert create.append == creation(CHILD_KEY, CHILD_INCARNATION, record.inputs[0])


def test_r1_a_sub_orchestration_that_is_mine_is_woken() -> None:
    (create,) = Story().turn(task(1), child(2), at=1.0).step.create

    assert (create.then.queue, create.then.group) == ("turns:ships", CHILD_KEY)
    assert create.then.message_id == f"{CHILD_INCARNATION}/0/w{create.append.version}.0"
    assert opened(create.then) == Wake(CHILD_INCARNATION, create.append.version)


def test_r1_the_parent_hears_that_an_id_is_taken() -> None:
    (create,) = Story().turn(task(1), child(2), at=1.0).step.create

    assert (create.otherwise.queue, create.otherwise.group) == ("turns:orders", KEY)
    assert create.otherwise.message_id == f"{INCARNATION}/0/2/exists"
    message = opened(create.otherwise)
    assert isinstance(message, ChildEnded)
    assert (message.incarnation, message.execution, message.outcome.seq) == (INCARNATION, 0, 2)
    assert isinstance(message.outcome, events.SubOrchestrationFailed)
    assert message.outcome.failure == Failure(
        "perdure.AlreadyExists", "The instance id 'order-1:2' is taken.", retryable=False
    )


def test_r1_creating_a_sub_orchestration_is_the_same_bytes_at_every_derivation() -> None:
    """Whoever sends the outbox later, after other turns, must not create another instance."""
    story = Story()
    first = story.turn(task(1), child(2), at=1.0, is_sent=False)
    story.turn(inputs=[raised("e1")], at=50.0)

    assert plan_resend(story.reload()).create == first.step.create


def test_r1_two_sub_orchestrations_of_one_id_are_two_creations() -> None:
    """One of them finds the id taken, and both outcomes reach the parent."""
    plan = Story().turn(child(1, instance_id="same"), child(2, instance_id="same"), at=1.0)

    one, two = plan.step.create
    assert one.append.key == two.append.key == "same"
    assert one.append.turn_id != two.append.turn_id


# ---- telling the parent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (RETURNED, events.SubOrchestrationCompleted(7, b"\x2a")),
        (events.ExecutionFailed(Failure("E", "no")), events.SubOrchestrationFailed(7, Failure("E", "no"))),
        (
            events.ExecutionCanceled("why"),
            events.SubOrchestrationFailed(7, Failure("perdure.Canceled", "why", retryable=False)),
        ),
    ],
)
def test_l4_the_end_is_told_to_the_parent(
    end: events.DECISIONS, outcome: events.SubOrchestrationCompleted | events.SubOrchestrationFailed
) -> None:
    (envelope,) = Story(parent=PARENT).turn(end, at=1.0).step.send

    assert (envelope.queue, envelope.group) == ("turns:parents", "the-parent")
    assert envelope.message_id == f"{INCARNATION}/0/end"
    assert opened(envelope) == ChildEnded("parent-incarnation", 0, outcome)


def test_l4_nobody_is_told_where_there_is_no_parent() -> None:
    assert Story().turn(RETURNED, at=1.0).step.send == ()


def test_l4_the_end_is_told_again_until_it_is_known_to_be_sent() -> None:
    story = Story(parent=PARENT)
    plan = story.turn(RETURNED, inputs=[raised("e1")], at=1.0, is_sent=False)

    assert plan_resend(story.reload()).send == plan.step.send

    story.state.sent_upto = story.state.version
    assert plan_resend(story.state).send == ()


# ---- sending again ---------------------------------------------------------------------------------------------------


def busy() -> Story:
    """An instance that asked for much in three turns, of which the last was not sent."""
    story = Story()
    story.turn(task(1), child(2), at=1.0)
    story.turn(task(3), child(4), timer(5, 50.0), inputs=[raised("e1")], at=2.0)
    story.turn(task(6), child(7), timer(8, 20.0), task(9), inputs=[completed(1)], at=3.0, is_sent=False)
    return story


def test_r5_what_a_turn_sends_is_what_is_derived_from_its_record() -> None:
    """Planning and deriving cannot disagree, whoever derives, and whenever."""
    story = Story(parent=PARENT)
    plans = [
        story.turn(task(1), child(2), at=1.0),
        story.turn(task(3), child(4), timer(5, 50.0), inputs=[raised("e1")], at=2.0),
        story.turn(unable(), inputs=[completed(1)], at=3.0),
        story.turn(RETURNED, at=4.0),
    ]

    for count, plan in enumerate(plans, start=2):
        box = outbox_of(fold(KEY, story.records[:count]), story.records[count - 1])
        assert (tuple(box.create), tuple(box.send)) == (plan.step.create, plan.step.send)
        assert box.send


def test_r5_only_what_may_not_have_been_sent_is_sent_again() -> None:
    story = busy()

    again = plan_resend(story.state)

    assert [message.task.seq for message in sent(again.send, RunTask)] == [6, 9]
    assert [create.append.key for create in again.create] == ["order-1:7"]
    assert len(sent(again.send, TimerDue)) == 1
    assert again.append is None


def test_r5_what_was_answered_or_canceled_since_is_not_sent_again() -> None:
    story = busy()
    story.turn(events.TaskCancelRequested(7), events.TimerCanceled(8), inputs=[completed(6)], at=4.0, is_sent=False)

    again = plan_resend(story.state)

    assert [message.task.seq for message in sent(again.send, RunTask)] == [9]
    assert again.create == ()
    assert [each.not_before for each in again.send if "/t" in each.message_id] == [EPOCH + 50.0]


def test_r5_a_history_that_says_nothing_of_sending_is_sent_in_full() -> None:
    """In the order of asking, whichever turn asked."""
    story = busy()
    state = story.reload()
    state.sent_upto = 0

    again = plan_resend(state)

    assert [message.task.seq for message in sent(again.send, RunTask)] == [3, 6, 9]
    assert [create.append.key for create in again.create] == ["order-1:2", "order-1:4", "order-1:7"]


def test_r5_when_all_is_sent_nothing_is_sent_again() -> None:
    story = busy()
    story.state.sent_upto = story.state.version

    assert (plan_resend(story.state).send, plan_resend(story.state).create) == ((), ())


def test_r5_two_derivations_are_equal_byte_for_byte() -> None:
    """Two workers may send one outbox: their messages must be the same ones."""
    story = busy()
    once, twice = fold(KEY, story.records), fold(KEY, story.records)

    assert msgspec.msgpack.encode(plan_resend(once)) == msgspec.msgpack.encode(plan_resend(twice))
    for record in story.records:
        assert _packed(outbox_of(once, record)) == _packed(outbox_of(twice, record))


def _packed(box: Outbox) -> bytes:
    return msgspec.msgpack.encode([box.create, box.send])


# ---- who may vouch for what is sent ----------------------------------------------------------------------------------


def test_r5_a_turn_whose_step_is_done_vouches_for_all_before_it() -> None:
    story = Story()
    first = story.turn(task(1), at=1.0)
    second = story.turn(task(2), inputs=[raised("e1")], at=2.0)

    assert (first.sent_upto, second.sent_upto) == (BEGUN + 1, BEGUN + 2)
    assert second.record.sent_upto == BEGUN + 1


@pytest.mark.parametrize("asked", [task(1), child(1), timer(1, 10.0)], ids=["task", "child", "timer"])
def test_r5_a_turn_that_follows_an_unsent_one_does_not_vouch_for_it(asked: events.DECISIONS) -> None:
    """The worker before died between append and send; another one's message came first; then the input comes again.

    Were the second turn to count as "all sent", that duplicate would be completed and the work lost for ever (L1).
    """
    story = Story()
    lost = story.turn(asked, inputs=[raised("e1")], at=1.0, is_sent=False)
    story.reload()

    plan = story.turn(inputs=[raised("e2")], at=2.0)

    assert plan.sent_upto < lost.record.version
    again = plan_resend(story.state)
    assert (again.create, again.send) == (lost.step.create, lost.step.send)


def test_r5_an_unsent_turn_is_forgotten_when_nothing_of_it_is_open() -> None:
    story = Story()
    story.turn(task(1), at=1.0, is_sent=False)
    story.reload()
    story.turn(inputs=[completed(1)], at=2.0)

    plan = story.turn(task(2), inputs=[raised("e1")], at=3.0)

    assert plan.sent_upto == plan.record.version


def test_r5_the_end_of_a_sub_orchestration_is_owed_until_it_is_sent() -> None:
    with_parent, without = Story(parent=PARENT), Story()
    for story in (with_parent, without):
        story.turn(RETURNED, at=1.0, is_sent=False)

    assert not is_all_sent(with_parent.state)
    assert is_all_sent(without.state)
