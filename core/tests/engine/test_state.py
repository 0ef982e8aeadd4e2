"""The fold of records: which ones may follow (S1, S2, S3b, S4, S6, S8), and what they say."""

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
    as_values,
    child,
    completed,
    creation_record,
    failed,
    raised,
    started,
    task,
    timer,
    turn_at,
    unable,
)

from perdure import events
from perdure.engine import InstanceState, fold
from perdure.errors import Corrupt, Failure
from perdure.records import TurnRecord


def waiting() -> Story:
    """An instance that waits for activities (1, 2), a sub-orchestration (3) and a timer of ten seconds (4)."""
    story = Story()
    story.turn(task(1), task(2), child(3), timer(4, 10.0), inputs=[raised("e0")], at=1.0)
    return story


def record(
    version: int = BEGUN + 2,
    *,
    at: float | None = 20.0,
    inputs: tuple[events.INPUTS, ...] = (),
    decisions: tuple[events.DECISIONS, ...] = (),
    incarnation: str = INCARNATION,
    execution: int = 0,
) -> TurnRecord:
    """Write the third record of a history, legal if nothing else is said."""
    turn = None if at is None else turn_at(EPOCH + at)
    return TurnRecord(version, "turn-x", incarnation, execution, turn, inputs, decisions)


ILLEGAL = {
    "s1 a gap": record(BEGUN + 3),
    "s1 a fork": record(BEGUN + 1),
    "s1 the first again": creation_record(),
    "s1 a second start": record(inputs=(started(),)),
    "s1 a start among other inputs": record(inputs=(completed(1), started())),
    "s2 another incarnation": record(incarnation="another"),
    "s3 another execution": record(execution=1),
    "s3b an outcome of what nobody asked for": record(inputs=(completed(9),)),
    "s3b two outcomes of one task": record(inputs=(completed(1), failed(1))),
    "s3b an outcome of the other kind": record(inputs=(completed(3),)),
    "s3b a child's outcome for a task": record(inputs=(events.SubOrchestrationCompleted(1, b""),)),
    "s3b a failed child that is none": record(inputs=(events.SubOrchestrationFailed(2, Failure("E", "")),)),
    "s3b a timer twice": record(inputs=(events.TimerFired(4), events.TimerFired(4))),
    "s3b a timer that is none": record(inputs=(events.TimerFired(1),)),
    "s4 an event again": record(inputs=(raised("e0"),)),
    "s4 an event twice": record(inputs=(raised("e1"), raised("e1"))),
    "s8 a clock that goes back": record(at=0.9),
    "s8 a timer before its time": record(at=9.9, inputs=(events.TimerFired(4),)),
    "s8 a timer before its time, recorded only": record(at=None, inputs=(events.TimerFired(4),)),
    "a decision of nobody": record(at=None, decisions=(task(5),)),
    "a decision of a failed turn": record(decisions=(task(5), unable())),
    "a failed turn that went on": record(decisions=(unable(), task(5))),
    "a decision after the end": record(decisions=(RETURNED, task(5))),
    "two ends": record(decisions=(RETURNED, events.ExecutionFailed(Failure("E", "")))),
    "a number again": record(decisions=(task(4),)),
    "a number twice": record(decisions=(task(5), timer(5, 30.0))),
    "a number that goes back": record(decisions=(child(6), task(5))),
}


@pytest.mark.parametrize("illegal", ILLEGAL.values(), ids=ILLEGAL.keys())
def test_an_illegal_record_is_refused_and_changes_nothing(illegal: TurnRecord) -> None:
    """Whoever went on with such a history would make it worse; the state at hand stays good for what was before."""
    story = waiting()
    before = as_values(story.state)

    with pytest.raises(Corrupt, match=rf"order-1: record {illegal.version} .*restore it from a backup"):
        story.state.apply(illegal)

    assert as_values(story.state) == before


LEGAL = {
    "nothing at all": record(),
    "every kind of answer": record(
        inputs=(
            events.TimerFired(4),
            completed(2),
            failed(1),
            events.SubOrchestrationFailed(3, Failure("E", "")),
            raised("e1"),
        )
    ),
    "inputs that nobody ran": record(at=None, inputs=(completed(1), raised("e1"))),
    "a clock that stands still": record(at=1.0),
    "a timer in its very moment": record(at=10.0, inputs=(events.TimerFired(4),)),
    "a failed turn with inputs": record(inputs=(completed(1),), decisions=(unable(),)),
    "an end after other decisions": record(decisions=(task(5), RETURNED)),
    "numbers with a gap": record(decisions=(task(6), timer(9, 1.0), child(12))),
    "canceling what is open, was answered or never was": record(
        inputs=(completed(1),),
        decisions=tuple(events.TaskCancelRequested(seq) for seq in (1, 2, 3, 9))
        + tuple(events.TimerCanceled(seq) for seq in (4, 4, 9)),
    ),
}


@pytest.mark.parametrize("legal", LEGAL.values(), ids=LEGAL.keys())
def test_a_legal_record_is_taken_in(legal: TurnRecord) -> None:
    state = waiting().state

    state.apply(legal)

    assert state.version == legal.version


@pytest.mark.parametrize("end", [RETURNED, events.ExecutionFailed(Failure("E", "")), events.ExecutionCanceled("why")])
def test_s6_nothing_follows_the_end(end: events.DECISIONS) -> None:
    story = waiting()
    story.turn(end, at=2.0)

    with pytest.raises(Corrupt, match="closed the instance"):
        story.state.apply(record(BEGUN + 3))


@pytest.mark.parametrize(
    "first",
    [
        record(1),
        record(1, inputs=(raised("e1"),)),
        record(1, inputs=(raised("e1"), started())),
        record(1, inputs=(started(), started())),
        msgspec.structs.replace(creation_record(), version=0),
    ],
)
def test_s1_a_history_begins_with_its_start_once(first: TurnRecord) -> None:
    with pytest.raises(Corrupt, match="is the first and does not begin with ExecutionStarted"):
        fold(KEY, [first])


def test_s1_an_event_may_be_recorded_with_the_start() -> None:
    first = msgspec.structs.replace(creation_record(), inputs=(started(), raised("e1")))

    state = fold(KEY, [first])

    assert state.pending == [started(), raised("e1")]


# ---- what records say ------------------------------------------------------------------------------------------------


def test_an_instance_that_was_created_waits_to_be_run() -> None:
    state = Story().state

    assert (state.version, state.incarnation, state.status) == (BEGUN, INCARNATION, "Pending")
    assert state.pending == [started()]
    assert state.now == EPOCH
    assert (state.turn_count, state.event_count) == (0, 1)


def test_a_turn_consumes_what_waited() -> None:
    story = waiting()
    story.note(raised("e1"))
    story.turn(inputs=[completed(1)], at=2.0)

    assert story.state.pending == []
    assert story.state.status == "Running"
    assert (story.state.turn_count, story.state.event_count) == (2, 8)


def test_r8_inputs_that_nobody_ran_are_recorded_and_wait_in_order() -> None:
    """They are answered all the same: a second outcome of the task is a duplicate from now on."""
    story = waiting()
    story.note(raised("e1"), completed(1))
    story.note(raised("e2"))

    assert story.state.pending == [raised("e1"), completed(1), raised("e2")]
    assert set(story.state.tasks) == {2}
    assert story.state.raised == {"e0", "e1", "e2"}


def test_r15_inputs_of_a_turn_that_failed_wait_in_order() -> None:
    story = waiting()
    story.turn(unable(), inputs=[completed(1)], at=2.0)
    story.turn(unable(), inputs=[completed(2)], at=3.0)

    assert story.state.pending == [completed(1), completed(2)]
    assert story.state.stalled == unable()
    assert story.state.status == "Running"


def test_r15_a_turn_that_runs_ends_the_stall() -> None:
    story = waiting()
    story.turn(unable(), inputs=[completed(1)], at=2.0)
    story.turn(task(5), at=3.0)

    assert story.state.stalled is None
    assert story.state.pending == []


def test_an_instance_whose_first_turn_failed_is_still_pending() -> None:
    """Its code has not begun: the parent is asked again before it does (R10)."""
    story = Story(scheduled_start=EPOCH + 1.0)
    story.turn(unable(), at=1.0)

    assert story.state.status == "Pending"
    assert story.state.pending == [started(scheduled_start=EPOCH + 1.0)]
    assert (story.state.turn_count, story.state.begins_at) == (1, 0.0)


def test_the_python_that_counts_is_the_one_that_first_ran_the_code() -> None:
    first = TurnRecord(BEGUN + 1, "a", INCARNATION, 0, turn_at(EPOCH, python_minor=11), (), (unable(),))
    second = TurnRecord(BEGUN + 2, "b", INCARNATION, 0, turn_at(EPOCH, python_minor=12), (), ())
    third = TurnRecord(BEGUN + 3, "c", INCARNATION, 0, turn_at(EPOCH, python_minor=13), (), ())

    assert [fold(KEY, [creation_record(), first, second, third][:count]).python_minor for count in (1, 2, 3, 4)] == [
        0,
        0,
        12,
        12,
    ]


def test_open_work_remembers_who_asked_for_it_and_when() -> None:
    story = waiting()
    story.turn(task(5), inputs=[completed(1)], at=2.0)

    assert {seq: (asked.version, asked.now) for seq, asked in story.state.tasks.items()} == {
        2: (BEGUN + 1, EPOCH + 1.0),
        5: (BEGUN + 2, EPOCH + 2.0),
    }
    assert story.state.last_seq == 5


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (RETURNED, "Completed"),
        (events.ExecutionFailed(Failure("E", "")), "Failed"),
        (events.ExecutionCanceled("why"), "Canceled"),
    ],
)
def test_s6_the_end_leaves_nothing_open(end: events.DECISIONS, status: str) -> None:
    story = waiting()
    story.note(raised("e1"))
    story.turn(task(5), end, at=2.0)
    state = story.state

    assert (state.status, state.is_closed, state.outcome, state.closed_version) == (status, True, end, BEGUN + 3)
    assert [state.tasks, state.children, state.timers.open, state.pending, state.stalled] == [{}, {}, {}, [], None]
    assert state.next_due() == 0.0
    assert state.due_timers(EPOCH + 10_000) == ()


def test_s4_a_closed_instance_still_knows_its_events() -> None:
    story = waiting()
    story.turn(RETURNED, inputs=[raised("e1")], at=2.0)

    assert story.state.raised == {"e0", "e1"}


def test_s8_the_clock_of_an_instance_begins_with_its_creator() -> None:
    """A worker whose clock is behind the creator's cannot put the first turn before the creation."""
    with pytest.raises(Corrupt, match="was made at"):
        Story().turn(at=-0.1)


def test_the_watermark_never_falls() -> None:
    low = msgspec.structs.replace(record(), sent_upto=BEGUN)
    state = waiting().state
    state.sent_upto = BEGUN + 1

    state.apply(low)

    assert state.sent_upto == BEGUN + 1


def test_the_watermark_of_a_record_is_believed() -> None:
    state = waiting().reload()

    state.apply(msgspec.structs.replace(record(), sent_upto=BEGUN + 1))

    assert state.sent_upto == BEGUN + 1


# ---- the summary -----------------------------------------------------------------------------------------------------


def test_the_summary_says_what_can_be_asked_for() -> None:
    story = Story(version="3", tags={"customer": "7"}, parent=PARENT)
    story.turn(timer(1, 10.0), timer(2, 5.0), at=1.0)
    story.turn(unable("no such code"), at=2.0)

    summary = story.state.summary()

    assert msgspec.structs.asdict(summary) == {
        "key": KEY,
        "name": "invoicing",
        "status": "Running",
        "incarnation": INCARNATION,
        "execution": 0,
        "created_at": EPOCH,
        "updated_at": EPOCH + 2.0,
        "queue": "orders",
        "version": "3",
        "next_due": EPOCH + 5.0,
        "stalled": "no such code",
        "tags": {"customer": "7"},
        "custom_status": "",
        "parent": "the-parent",
    }


def test_the_summary_of_one_that_needs_nothing_is_empty_there() -> None:
    story = waiting()
    story.turn(RETURNED, at=2.0)
    summary = story.state.summary()

    assert (summary.status, summary.next_due, summary.stalled, summary.parent) == ("Completed", 0.0, "", "")


def test_a_state_begins_with_nothing() -> None:
    state = InstanceState(KEY)

    assert (state.version, state.is_closed, state.next_due(), state.begins_at) == (0, False, 0.0, 0.0)
