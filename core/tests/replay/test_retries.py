"""Retries: an attempt is a command, a delay is a durable timer, and the clock is the orchestration's."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_support import Driven, activity, child, encode, failure, result_of, rules

from perdure.commands import CancelTimer, Command, CreateSubOrchestration, Fail, ScheduleTask, SetTimer
from perdure.errors import ActivityError, Failure
from perdure.events import RetryRules, SubOrchestrationFailed, TaskCompleted, TaskFailed, TimerFired
from perdure.replay._retry import delay_before_next, is_allowed


def attempt(seq: int, number: int, retry: RetryRules, first: int = 1) -> ScheduleTask:
    return ScheduleTask(seq, "pay", encode("input"), "default", 0.0, number, first if number > 1 else 0, retry)


def payer(retry: RetryRules, handler: object = None) -> Driven:
    async def paying() -> str:
        try:
            return await activity("pay", "input", retry=retry, handler=handler)
        except ActivityError as error:
            return f"gave up: {error.failure.message}"

    return Driven(paying)


def test_a_failed_attempt_waits_and_is_made_again_until_it_succeeds() -> None:
    retry = rules(attempts=3, first_delay=2.0, backoff=10.0)
    driven = payer(retry)

    assert driven.start() == (attempt(1, 1, retry),)
    assert driven.turn(TaskFailed(1, failure())) == (SetTimer(2, 1002.0),)
    assert driven.turn(TimerFired(2), after=2) == (attempt(3, 2, retry),)
    assert driven.turn(TaskFailed(3, failure())) == (SetTimer(4, 1022.0),)
    assert driven.turn(TimerFired(4), after=20) == (attempt(5, 3, retry),)
    assert result_of(driven.turn(TaskCompleted(5, encode("paid")))) == "paid"


def test_after_the_last_attempt_its_failure_is_raised() -> None:
    driven = payer(rules(attempts=2))
    driven.start()
    driven.turn(TaskFailed(1, failure(message="first")))
    driven.turn(TimerFired(2), after=1)

    assert result_of(driven.turn(TaskFailed(3, failure(message="second")))) == "gave up: second"


def test_without_rules_there_is_one_attempt() -> None:
    async def paying() -> str:
        await activity("pay")
        return "not reached"

    driven = Driven(paying)
    driven.start()

    (failed,) = driven.turn(TaskFailed(1, failure(message="declined")))
    assert isinstance(failed, Fail)
    assert failed.failure.cause == failure(message="declined")


def test_a_delay_of_zero_makes_the_next_attempt_at_once() -> None:
    retry = rules(first_delay=0.0)
    driven = payer(retry)
    driven.start()

    assert driven.turn(TaskFailed(1, failure())) == (attempt(2, 2, retry),)


def test_no_attempt_begins_after_the_deadline() -> None:
    """Asked first at 1000, with 5 seconds: at 1004 a delay of 2 would pass it."""
    retry = rules(attempts=0, first_delay=2.0, backoff=1.0, deadline=5.0)
    driven = payer(retry)
    driven.start()

    assert driven.turn(TaskFailed(1, failure()), after=3) == (SetTimer(2, 1005.0),)
    driven.turn(TimerFired(2), after=2)
    assert result_of(driven.turn(TaskFailed(3, failure(message="too late")), after=0.5)) == "gave up: too late"


def test_a_delay_that_would_pass_the_deadline_is_not_begun() -> None:
    driven = payer(rules(attempts=0, first_delay=2.0, deadline=5.0))
    driven.start()

    assert result_of(driven.turn(TaskFailed(1, failure(message="too late")), after=4)) == "gave up: too late"


def test_a_handler_may_give_up_go_on_or_choose_the_delay() -> None:
    answers: dict[str, bool | float] = {"give up": False, "go on": True, "wait": 60, "at once": 0}

    def delays(message: str) -> tuple[Command, ...]:
        driven = payer(rules(), handler=lambda failure: answers[failure.message])
        driven.start()
        return driven.turn(TaskFailed(1, failure(message=message)))

    assert result_of(delays("give up")) == "gave up: give up"
    assert delays("go on") == (SetTimer(2, 1001.0),)
    assert delays("wait") == (SetTimer(2, 1060.0),)
    assert isinstance(delays("at once")[0], ScheduleTask)


@pytest.mark.parametrize("answer", [None, "soon", -1.0, math.nan, math.inf])
def test_a_handler_that_answers_nonsense_is_told_so_where_the_code_awaits(answer: object) -> None:
    async def paying() -> None:
        await activity("pay", retry=rules(), handler=lambda _failure: answer)

    driven = Driven(paying)
    driven.start()

    (failed,) = driven.turn(TaskFailed(1, failure(message="declined")))
    assert isinstance(failed, Fail)
    assert repr(answer) in failed.failure.message
    assert "Return True" in failed.failure.message
    assert "activity pay (seq 1)" in failed.failure.notes[0]
    assert "declined" in failed.failure.notes[0]


def test_what_a_handler_raises_is_raised_where_the_code_awaits() -> None:
    def broken(_failure: Failure) -> bool:
        raise LookupError("no such customer")

    async def paying() -> None:
        await activity("pay", retry=rules(), handler=broken)

    driven = Driven(paying)
    driven.start()

    (failed,) = driven.turn(TaskFailed(1, failure()))
    assert isinstance(failed, Fail)
    assert (failed.failure.type, failed.failure.message) == ("LookupError", "no such customer")


def test_an_exception_that_cannot_be_made_again_is_said_where_the_code_awaits() -> None:
    async def paying() -> None:
        call = activity("pay")
        call._restore = lambda *_: 1 / 0  # type: ignore[method-assign]
        await call

    driven = Driven(paying)
    driven.start()

    (failed,) = driven.turn(TaskFailed(1, failure(message="declined")))
    assert isinstance(failed, Fail)
    assert failed.failure.type == "ZeroDivisionError"
    assert "declined" in failed.failure.notes[0]


def test_cancelling_during_the_delay_cancels_the_timer() -> None:
    async def impatient() -> str:
        task = asyncio.create_task(activity("pay", retry=rules(first_delay=100.0)))
        await asyncio.sleep(50)
        task.cancel()
        await asyncio.wait({task})
        return "stopped"

    driven = Driven(impatient)
    driven.start()
    assert driven.turn(TaskFailed(2, failure())) == (SetTimer(3, 1100.0),)
    assert driven.execution.waiting_for()[1] == "attempt 2 of pay until 1970-01-01T00:18:20+00:00 (seq 3)"

    asked = driven.turn(TimerFired(1), after=50)
    assert asked[0] == CancelTimer(3)
    assert result_of(asked) == "stopped"


def test_each_attempt_of_a_child_is_an_instance_of_its_own_unless_code_gave_the_id() -> None:
    async def parent(id: str | None) -> None:
        await child("ship", id=id, retry=rules(first_delay=0.0))

    def ids(id: str | None) -> list[str]:
        driven = Driven(parent, id)
        asked = [*driven.start(), *driven.turn(SubOrchestrationFailed(1, failure()))]
        assert [each.attempt for each in asked if isinstance(each, CreateSubOrchestration)] == [1, 2]
        return [each.instance_id for each in asked if isinstance(each, CreateSubOrchestration)]

    assert ids(None) == ["order-1:1", "order-1:2"]
    assert ids("mine") == ["mine", "mine"]


def test_jitter_is_drawn_from_the_seed() -> None:
    def first_delay(seed: int) -> float:
        async def paying() -> None:
            await activity("pay", retry=rules(first_delay=100.0, jitter=0.5))

        driven = Driven(paying, seed=seed)
        driven.start()
        (timer,) = driven.turn(TaskFailed(1, failure()))
        assert isinstance(timer, SetTimer)
        return timer.fire_at - 1000.0

    assert first_delay(1) == first_delay(1)
    assert first_delay(1) != first_delay(2)
    assert all(50.0 <= first_delay(seed) <= 100.0 for seed in range(20))


@pytest.mark.parametrize(
    ("options", "type", "allowed"),
    [
        ({}, "shop.errors.Declined", True),
        ({"retry_on": ("Declined",)}, "shop.errors.Declined", True),
        ({"retry_on": ("shop.errors.Declined",)}, "shop.errors.Declined", True),
        ({"retry_on": ("Declined",)}, "shop.errors.Refused", False),
        ({"never_on": ("Declined",)}, "shop.errors.Declined", False),
        ({"retry_on": ("Declined",), "never_on": ("Declined",)}, "shop.errors.Declined", False),
        ({"retry_on": ("ValueError",)}, "ValueError", True),
        ({"never_on": ("eclined",)}, "shop.errors.Declined", True),
    ],
    ids=repr,
)
def test_types_are_matched_by_whole_or_bare_name(
    options: dict[str, tuple[str, ...]], type: str, *, allowed: bool
) -> None:
    assert is_allowed(rules(**options), failure(type), attempt=1) is allowed


def test_what_is_not_retryable_is_never_tried_again() -> None:
    assert not is_allowed(rules(attempts=0), failure(retryable=False), attempt=1)


def test_zero_attempts_means_no_limit() -> None:
    assert is_allowed(rules(attempts=0), failure(), attempt=1_000_000)
    assert not is_allowed(rules(attempts=1), failure(), attempt=1)


@given(
    attempt=st.integers(1, 100_000),
    first=st.floats(0, 1e6),
    backoff=st.floats(1, 100),
    longest=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    drawn=st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_never_negative_nor_above_the_longest(
    attempt: int, first: float, backoff: float, longest: float, jitter: float, drawn: float
) -> None:
    retry = RetryRules(first_delay=first, backoff=backoff, max_delay=longest, jitter=jitter)

    delay = delay_before_next(retry, attempt=attempt, fraction=drawn)

    assert 0 <= delay <= longest or delay == pytest.approx(longest)


def test_delays_grow_by_the_backoff() -> None:
    retry = RetryRules(first_delay=1.0, backoff=3.0, max_delay=20.0)

    assert [delay_before_next(retry, attempt=each, fraction=0.0) for each in (1, 2, 3, 4, 9999)] == [1, 3, 9, 20, 20]
