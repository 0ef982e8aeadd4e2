"""R16: large payloads go out of line, each under the instance that refers to it."""

from __future__ import annotations

import hashlib

import pytest
from engine_support import (
    BEGUN,
    EPOCH,
    INCARNATION,
    INLINE_BYTES_MAX,
    KEY,
    RETURNED,
    Story,
    child,
    completed,
    raised,
    sent,
    task,
    turn_at,
)

from perdure import codec, events
from perdure.engine import Offload, Plan, input_name, out_of_line, plan_resend, plan_turn
from perdure.ids import Key, child_incarnation
from perdure.messages import RunTask
from perdure.spi import StoredPayload

SMALL = b"s" * INLINE_BYTES_MAX
LARGE = b"L" * (INLINE_BYTES_MAX + 1)
LARGER = b"M" * (INLINE_BYTES_MAX + 2)


def reference(name: str, data: bytes) -> events.PayloadRef:
    return events.PayloadRef(name, len(data), hashlib.sha256(data).hexdigest()[:16])


def in_record(version: int, turn: int, index: int) -> str:
    return f"{INCARNATION}/r/{version}-turn-{turn}/{index}"


def waiting() -> Story:
    story = Story()
    story.turn(task(1), child(2), at=1.0)
    return story


def test_r16_a_payload_at_the_limit_stays_in_line() -> None:
    plan = waiting().turn(task(3, SMALL), inputs=[completed(1, SMALL), raised("e1", payload=SMALL)], at=2.0)

    assert plan.payloads == ()
    assert plan.record.decisions == (task(3, SMALL),)


def test_r16_one_byte_more_goes_out_of_line() -> None:
    plan = waiting().turn(task(3, LARGE), at=2.0)

    name = in_record(BEGUN + 2, 2, 0)
    assert plan.payloads == ((StoredPayload(KEY, name), LARGE),)
    assert plan.record.decisions == (events.TaskScheduled(3, "issue_invoice", reference(name, LARGE)),)


def test_r16_every_large_payload_of_a_record_has_its_own_name() -> None:
    plan = waiting().turn(
        task(3, LARGE),
        task(4, SMALL),
        events.ExecutionCompleted(LARGER),
        inputs=[raised("e1", payload=LARGER), events.SubOrchestrationCompleted(2, LARGE), completed(1)],
        at=2.0,
    )

    assert plan.payloads == tuple(
        (StoredPayload(KEY, in_record(BEGUN + 2, 2, index)), data)
        for index, data in enumerate([LARGER, LARGE, LARGE, LARGER])
    )
    assert plan.record.inputs == (
        events.EventRaised("payment", reference(in_record(BEGUN + 2, 2, 0), LARGER), "e1"),
        events.SubOrchestrationCompleted(2, reference(in_record(BEGUN + 2, 2, 1), LARGE)),
        completed(1),
    )
    assert plan.record.decisions == (
        events.TaskScheduled(3, "issue_invoice", reference(in_record(BEGUN + 2, 2, 2), LARGE)),
        task(4, SMALL),
        events.ExecutionCompleted(reference(in_record(BEGUN + 2, 2, 3), LARGER)),
    )


def test_r16_the_task_message_carries_the_reference() -> None:
    plan = waiting().turn(task(3, LARGE), at=2.0)

    (message,) = sent(plan.step.send, RunTask)
    assert message.task == plan.record.decisions[0]


def test_r16_what_is_out_of_line_already_stays_where_it_is() -> None:
    """An activity's large result was written by the worker that ran it."""
    there = events.TaskCompleted(1, reference(f"{INCARNATION}/t/0-1/x", LARGE))

    plan = waiting().turn(inputs=[there], at=2.0)

    assert (plan.payloads, plan.record.inputs) == ((), (there,))


def test_r16_a_name_is_never_reused_by_another_attempt_at_the_same_version() -> None:
    """Two workers plan the same turn; the loser's payload is garbage and must not be the winner's."""
    one, other = (
        plan_turn(
            waiting().state,
            turn=turn_at(EPOCH + 2.0),
            turn_id=turn_id,
            inputs=(),
            decisions=(task(3, LARGE),),
            inline_bytes_max=INLINE_BYTES_MAX,
        )
        for turn_id in ("mine", "yours")
    )

    assert one.payloads[0][0].name == f"{INCARNATION}/r/{BEGUN + 2}-mine/0"
    assert other.payloads[0][0].name == f"{INCARNATION}/r/{BEGUN + 2}-yours/0"


# ---- crossing instances copies ---------------------------------------------------------------------------------------


def plan_of_large_child(story: Story) -> Plan:
    return story.turn(child(3, LARGE), at=2.0)


def test_r16_a_sub_orchestration_gets_its_own_copy_of_a_large_input() -> None:
    plan = plan_of_large_child(waiting())

    mine = child_incarnation(INCARNATION, 0, 3)
    assert plan.payloads == (
        (StoredPayload(KEY, in_record(BEGUN + 2, 2, 0)), LARGE),
        (StoredPayload(Key("order-1:3"), f"{mine}/in"), LARGE),
    )
    (create,) = plan.step.create
    (begun,) = codec.decode_record(create.append.record, where="a test").inputs
    assert isinstance(begun, events.ExecutionStarted)
    assert begun.input == reference(f"{mine}/in", LARGE)


def test_r16_a_small_input_crosses_in_line() -> None:
    plan = waiting().turn(child(3, SMALL), at=2.0)

    assert plan.payloads == ()
    (create,) = plan.step.create
    (begun,) = codec.decode_record(create.append.record, where="a test").inputs
    assert isinstance(begun, events.ExecutionStarted)
    assert begun.input == SMALL


def test_r16_creating_it_again_refers_to_the_same_copy() -> None:
    story = waiting()
    plan = plan_of_large_child(story)
    story.reload()
    story.state.sent_upto = plan.record.version - 1

    assert plan_resend(story.state).create == plan.step.create


@pytest.mark.parametrize("then", [events.TaskCancelRequested(3), RETURNED])
def test_r16_no_copy_is_made_for_a_sub_orchestration_that_is_not_created(then: events.DECISIONS) -> None:
    """It would be garbage under a key that may never exist, where nothing looks for it."""
    plan = waiting().turn(child(3, LARGE), then, at=2.0)

    assert [stored.key for stored, _ in plan.payloads] == [KEY]


# ---- the parts -------------------------------------------------------------------------------------------------------


def test_r16_a_reference_knows_length_and_digest() -> None:
    copy = out_of_line(KEY, input_name(INCARNATION), LARGE)

    assert copy.reference == reference("first/in", LARGE)
    assert copy.stored == (StoredPayload(KEY, "first/in"), LARGE)


def test_where_nothing_is_large_the_same_tuple_comes_back() -> None:
    members = (completed(1, SMALL), raised("e1"), events.TimerFired(4))

    assert Offload(KEY, "p", INLINE_BYTES_MAX).all(members) is members


def test_an_empty_payload_is_not_taken_for_a_missing_one() -> None:
    members = (events.TaskCompleted(1, b""), task(2, b""))

    assert Offload(KEY, "p", 0).all(members) is members
