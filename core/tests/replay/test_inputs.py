"""What an execution is given, and what it says about itself."""

from __future__ import annotations

import asyncio

import pytest
from replay_support import Driven, activity, child, encode, event, failure, loop, turn_at

from perdure.events import (
    EventRaised,
    Parent,
    PayloadRef,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from perdure.replay import TurnDoomed


def test_code_sees_who_it_is() -> None:
    seen = []

    async def curious() -> None:
        seen.append(loop().info)

    parent = Parent("mother", "inc0", 0, 4, "default")
    driven = Driven(curious, tags={"customer": "c1"}, parent=parent, execution_count=3)
    driven.start()

    (info,) = seen
    assert info is driven.execution.info
    assert (info.instance_id, info.incarnation, info.execution, info.name) == ("order-1", "inc", 3, "curious")
    assert (info.tags, info.parent, info.version) == ({"customer": "c1"}, parent, None)
    with pytest.raises(TypeError):
        info.tags["customer"] = "c2"


def test_people_are_told_what_the_code_waits_for() -> None:
    async def waiting() -> None:
        await asyncio.gather(
            activity("issue_invoice"), child("shipping"), asyncio.sleep(3600), event("payment"), event("payment")
        )

    driven = Driven(waiting)
    driven.start()

    assert driven.execution.waiting_for() == (
        "activity issue_invoice (seq 1)",
        "sub-orchestration shipping as order-1:2 (seq 2)",
        "timer until 1970-01-01T01:16:40+00:00 (seq 3)",
        "event payment",
        "event payment",
    )


def test_a_timer_beyond_every_calendar_can_be_shown() -> None:
    async def patient() -> None:
        await asyncio.sleep(1e20)

    driven = Driven(patient)
    driven.start()

    assert driven.execution.waiting_for() == ("timer until 1e+20 s (seq 1)",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TaskCompleted(9, b""), "asked for nothing"),
        (TaskCompleted(0, b""), "asked for nothing"),
        (TimerFired(9), "asked for nothing"),
        (TimerFired(1), "no such thing: activity a"),
        (SubOrchestrationCompleted(1, b""), "no such thing: activity a"),
        (SubOrchestrationFailed(1, failure()), "no such thing: activity a"),
        (TaskCompleted(2, b""), "no such thing: timer until"),
        (TaskFailed(3, failure()), "no such thing: sub-orchestration b"),
        (TaskCompleted(1, PayloadRef("r/1", 9, "0f")), "r/1 was not fetched"),
        (EventRaised("x", PayloadRef("e/1", 9, "0f"), "m"), "e/1 was not fetched"),
        (turn_at(0.0), "TurnStarted is no input"),
    ],
    ids=repr,
)
def test_an_input_that_cannot_belong_to_the_history_dooms_the_turn(wrong: object, message: str) -> None:
    async def mixed() -> None:
        await asyncio.gather(activity("a"), asyncio.sleep(5), child("b"))

    driven = Driven(mixed)
    driven.start()

    with pytest.raises(TurnDoomed, match=message) as doomed:
        driven.turn(wrong)  # type: ignore[arg-type]
    assert doomed.value.reason == "input"
    assert doomed.value.cause is doomed.value


def test_the_first_input_must_be_the_start_and_it_comes_once() -> None:
    async def simple() -> None:
        await activity("a")

    with pytest.raises(TurnDoomed, match="must be ExecutionStarted, not TimerFired"):
        Driven(simple).turn(TimerFired(1))
    driven = Driven(simple)
    driven.start()
    with pytest.raises(TurnDoomed, match="second time"):
        driven.turn(driven.started())


def test_time_that_goes_back_dooms_the_turn() -> None:
    async def simple() -> None:
        await activity("a")

    driven = Driven(simple)
    driven.start()

    with pytest.raises(TurnDoomed, match="before the one before it") as doomed:
        driven.turn(TaskCompleted(1, encode(1)), after=-1)
    assert doomed.value.reason == "input"


def test_a_turn_without_input_asks_for_nothing() -> None:
    async def simple() -> None:
        await activity("a")

    assert Driven(simple).turn() == ()
