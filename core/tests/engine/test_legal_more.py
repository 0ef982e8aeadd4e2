"""Histories that nobody can have written, each refused for the reason that is true of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_support import BEGUN, EPOCH, INCARNATION, KEY, Story, completed, creation_record, raised, started, turn_at

from perdure.engine import fold
from perdure.errors import Corrupt
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from perdure import events


def second_record(
    *inputs: events.INPUTS, at: float = 1.0, incarnation: str = INCARNATION, execution: int = 0
) -> TurnRecord:
    """Write what may follow the creation, if nothing else is said."""
    return TurnRecord(BEGUN + 1, "turn-1", incarnation, execution, turn_at(EPOCH + at), inputs, ())


def test_what_the_others_change_is_legal_as_it_stands() -> None:
    """Else they might be refused for something that none of them is about."""
    state = fold(KEY, [creation_record(), second_record(raised("e1"))])

    assert state.version == BEGUN + 1


@pytest.mark.parametrize(
    "inputs",
    [(started(),), (raised("e1"), started()), (started(name="another", seed=9),)],
    ids=["alone", "among others", "of another name"],
)
def test_s1_an_instance_starts_once(inputs: tuple[events.INPUTS, ...]) -> None:
    """Its code would be fed a second input from the middle on, and nobody could say what it was started with."""
    with pytest.raises(Corrupt, match="holds ExecutionStarted, which only the first one may"):
        fold(KEY, [creation_record(), second_record(*inputs)])


@pytest.mark.parametrize("version", [BEGUN, BEGUN + 2, BEGUN - 1, 1], ids=["again", "gap", "earlier", "from another"])
def test_s1_records_follow_each_other_without_a_gap(version: int) -> None:
    stranger = TurnRecord(version, "turn-1", INCARNATION, 0, turn_at(EPOCH + 1), (), ())

    with pytest.raises(Corrupt, match="something is missing or is there twice"):
        fold(KEY, [creation_record(), stranger])


def test_s2_a_record_of_another_incarnation_does_not_follow() -> None:
    """It is what a purged instance of that id wrote: its inputs are of another life."""
    with pytest.raises(Corrupt, match="is of incarnation 'another', those before it are of 'first'"):
        fold(KEY, [creation_record(), second_record(incarnation="another")])


def test_s3b_a_record_of_another_execution_does_not_follow() -> None:
    """Task 1 of one execution is not task 1 of the next."""
    with pytest.raises(Corrupt, match="is of execution 1, those before it are of 0"):
        fold(KEY, [creation_record(), second_record(execution=1)])


def test_s3b_an_outcome_of_what_nobody_asked_for_is_no_input() -> None:
    with pytest.raises(Corrupt, match="TaskCompleted 1, which was consumed before or answers nothing"):
        fold(KEY, [creation_record(), second_record(completed(1))])


def test_s4_an_event_is_consumed_once() -> None:
    story = Story()
    story.turn(inputs=[raised("e1")], at=1.0)

    with pytest.raises(Corrupt, match="EventRaised 'e1', which was consumed before"):
        fold(KEY, [*story.records, TurnRecord(BEGUN + 2, "x", INCARNATION, 0, turn_at(EPOCH + 2), (raised("e1"),), ())])


def test_s8_no_turn_was_made_before_the_one_before_it() -> None:
    with pytest.raises(Corrupt, match="which is before"):
        fold(KEY, [creation_record(), second_record(at=-0.5)])
