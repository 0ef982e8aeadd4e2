"""Code that no longer does what its record says is stopped at the line that differs, with both sides named."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from replay_support import Code, Driven, activity, child, encode, event, failure, rules

from perdure.commands import Complete
from perdure.errors import NotDeterministic
from perdure.events import PayloadRef, SubOrchestrationCreated, TaskCompleted, TaskFailed, TaskScheduled, TimerFired


async def original() -> None:
    await activity("issue", "order")
    await child("ship", id="ship-1")
    await asyncio.sleep(10)


def recorded() -> Driven:
    driven = Driven(original)
    driven.start()
    driven.turn(TaskCompleted(1, encode(None)))
    return driven


async def renamed() -> None:
    await activity("invoice", "order")


async def another_kind() -> None:
    await asyncio.sleep(1)


async def another_target() -> None:
    await activity("issue", "order")
    await child("ship", id="ship-2")


async def another_child_name() -> None:
    await activity("issue", "order")
    await child("send", id="ship-1")


async def one_more() -> None:
    await asyncio.gather(activity("issue", "order"), activity("log"))


async def one_less() -> None:
    await event("payment")


async def ends_early() -> str:
    return "done"


@pytest.mark.parametrize(
    ("changed", "then", "now"),
    [
        (renamed, "activity 'issue' (seq 1)", "activity 'invoice' (seq 1)"),
        (another_kind, "activity 'issue' (seq 1)", "a timer (seq 1)"),
        (
            another_target,
            "sub-orchestration 'ship' as 'ship-1' (seq 2)",
            "sub-orchestration 'ship' as 'ship-2' (seq 2)",
        ),
        (another_child_name, "sub-orchestration 'ship' as 'ship-1'", "sub-orchestration 'send' as 'ship-1'"),
        (one_more, "nothing", "activity 'log' (seq 2)"),
        (one_less, "activity 'issue' (seq 1)", "nothing"),
        (ends_early, "activity 'issue' (seq 1)", "the end: it returned"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_error_names_what_was_recorded_and_what_the_code_asks(changed: Code, then: str, now: str) -> None:
    with pytest.raises(NotDeterministic) as caught:
        recorded().replayed(changed)

    message = str(caught.value)
    assert message.startswith("order-1: decision ")
    assert f"of the record is {then}" in message
    assert f"the code now asks for {now}" in message
    assert "Likely causes" in message
    assert "new version" in message


def test_the_error_names_the_line_that_asks() -> None:
    with pytest.raises(NotDeterministic, match=r"decision 1 .* at .*test_mismatch\.py:\d+ in renamed\."):
        recorded().replayed(renamed)


def test_the_error_of_a_missing_command_names_the_line_that_waits() -> None:
    with pytest.raises(NotDeterministic, match=r"at .*test_mismatch\.py:\d+ in one_less\."):
        recorded().replayed(one_less)


def test_code_cannot_hide_a_mismatch_by_swallowing_it() -> None:
    async def swallowing() -> None:
        try:
            await activity("invoice", "order")
        except BaseException:  # noqa: BLE001 - what this test is about
            await activity("issue", "order")

    with pytest.raises(NotDeterministic, match="invoice"):
        recorded().replayed(swallowing)


def test_an_execution_that_left_its_record_cannot_go_on() -> None:
    driven = recorded()
    again = Driven(renamed)
    with pytest.raises(NotDeterministic):
        again.execution.replay(driven.history[0].started, driven.history[0].inputs, driven.history[0].decisions)

    with pytest.raises(Exception, match="broke or was closed before"):
        again.turn()


def test_unchanged_code_goes_on_where_the_record_ends() -> None:
    again = recorded().replayed()

    assert again.execution.warnings == ()
    assert again.execution.waiting_for() == ("sub-orchestration ship as ship-1 (seq 2)",)


def test_options_come_from_the_record_and_may_be_changed() -> None:
    def paying(**options: object) -> Code:
        async def pay() -> None:
            await activity("pay", **options)

        return pay

    driven = Driven(paying(queue="old", timeout=5.0, retry=rules(attempts=5, first_delay=7.0)))
    driven.start()
    again = driven.replayed(paying(queue="new", timeout=9.0, retry=rules(attempts=1)))

    (timer,) = again.turn(TaskFailed(1, failure()))
    assert timer.fire_at == 1007.0  # type: ignore[union-attr]
    (second,) = again.turn(TimerFired(2), after=7)
    assert (second.queue, second.timeout, second.retry.attempts) == ("old", 5.0, 5)  # type: ignore[union-attr]


def test_the_length_of_a_sleep_may_be_changed_and_the_recorded_one_counts() -> None:
    def sleeping(seconds: float) -> Code:
        async def sleep() -> float:
            handle = asyncio.get_running_loop().call_later(seconds, lambda: None)
            await asyncio.sleep(seconds)
            return handle.when()

        return sleep

    driven = Driven(sleeping(10))
    driven.start()
    again = driven.replayed(sleeping(99))

    assert again.turn(TimerFired(1), TimerFired(2), after=10) == (Complete(encode(1010.0)),)


def test_another_input_is_a_warning_that_names_the_line() -> None:
    async def extended() -> None:
        await activity("issue", "another order")
        await child("ship", id="ship-1")

    again = recorded().replayed(extended)

    (warning,) = again.execution.warnings
    assert "activity 'issue' (seq 1)" in warning
    assert "test_mismatch.py:" in warning


def test_warnings_are_bounded() -> None:
    def asking(value: int) -> Code:
        async def ask() -> None:
            await asyncio.gather(*(activity("a", value) for _ in range(150)))

        return ask

    driven = Driven(asking(1))
    driven.start()

    assert len(driven.replayed(asking(2)).execution.warnings) == 100


def test_an_input_that_went_out_of_line_is_not_compared() -> None:
    driven = recorded()
    first = driven.history[0]
    (scheduled,) = first.decisions
    assert isinstance(scheduled, TaskScheduled)
    elsewhere = msgspec.structs.replace(scheduled, input=PayloadRef("r/1", 9, "0f"))
    driven.history[0] = msgspec.structs.replace(first, decisions=[elsewhere])

    assert driven.replayed().execution.warnings == ()


def test_a_derived_child_id_is_taken_from_the_record() -> None:
    """Another release may derive ids by another rule: old histories keep theirs."""

    async def parent() -> None:
        await child("ship")

    driven = Driven(parent)
    driven.start()
    (created,) = driven.history[0].decisions
    assert isinstance(created, SubOrchestrationCreated)
    older = msgspec.structs.replace(created, instance_id="by-an-older-rule")
    driven.history[0] = msgspec.structs.replace(driven.history[0], decisions=[older])

    assert driven.replayed().execution.waiting_for() == ("sub-orchestration ship as by-an-older-rule (seq 1)",)


def test_a_retry_is_not_taken_for_a_new_call() -> None:
    async def retrying() -> None:
        await activity("pay", retry=rules(first_delay=0.0))

    async def looping() -> None:
        for _ in range(2):
            try:
                await activity("pay")
            except Exception:  # noqa: BLE001 - what this test is about
                continue

    driven = Driven(retrying)
    driven.start()
    driven.turn(TaskFailed(1, failure()))
    without_rules = [
        msgspec.structs.replace(turn, decisions=[msgspec.structs.replace(each, retry=None) for each in turn.decisions])
        for turn in driven.history
    ]

    with pytest.raises(
        NotDeterministic, match=r"'pay' \(seq 2, attempt 2\), the code now asks for activity 'pay' \(seq 2\)"
    ):
        driven.replayed(looping, without_rules)


def test_a_mismatch_in_what_a_retry_asks_is_found_too() -> None:
    """No line of user code runs then: the loop itself asks."""

    async def retrying() -> None:
        await activity("pay", retry=rules(first_delay=0.0))

    driven = Driven(retrying)
    driven.start()
    driven.turn(TaskFailed(1, failure()))
    (second,) = driven.history[1].decisions
    driven.history[1] = msgspec.structs.replace(
        driven.history[1], decisions=[msgspec.structs.replace(second, name="other")]
    )

    with pytest.raises(NotDeterministic, match="no line of user code"):
        driven.replayed()


@pytest.mark.parametrize(
    ("cancelled_then", "cancelled_now", "what"),
    [("first", "second", "call"), ("second", "first", "call")],
)
def test_cancelling_another_call_is_a_mismatch(cancelled_then: str, cancelled_now: str, what: str) -> None:
    def cancelling(which: str) -> Code:
        async def cancel() -> None:
            tasks = {name: asyncio.create_task(activity("a")) for name in ("first", "second")}
            await asyncio.sleep(0)
            tasks[which].cancel()
            await event("end")

        return cancel

    driven = Driven(cancelling(cancelled_then))
    driven.start()

    with pytest.raises(NotDeterministic, match=rf"cancelling the {what} of seq \d, the code now asks for cancelling"):
        driven.replayed(cancelling(cancelled_now))


def test_cancelling_another_timer_is_a_mismatch() -> None:
    def cancelling(which: int) -> Code:
        async def cancel() -> None:
            timers = [asyncio.get_running_loop().call_later(9, print) for _ in range(2)]
            timers[which].cancel()
            await event("end")

        return cancel

    driven = Driven(cancelling(0))
    driven.start()

    with pytest.raises(NotDeterministic, match="cancelling the timer of seq 1, the code now asks for cancelling"):
        driven.replayed(cancelling(1))


async def returns() -> str:
    return "result"


async def returns_another() -> str:
    return "another result"


async def raises() -> None:
    raise ValueError("one text")


async def raises_another() -> None:
    raise LookupError("another text")


def outcome_of(code: Code) -> Driven:
    driven = Driven(code)
    driven.start()
    return driven


@pytest.mark.parametrize(("then", "now"), [(returns, returns_another), (raises, raises_another)])
def test_results_and_diagnostics_are_not_compared(then: Code, now: Code) -> None:
    assert outcome_of(then).replayed(now).execution.is_closed


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        (returns, raises, "returned, the code now asks for the end: it raised"),
        (raises, returns, "it raised, the code now"),
    ],
)
def test_returning_where_it_raised_is_a_mismatch(then: Code, now: Code, text: str) -> None:
    with pytest.raises(NotDeterministic, match=text):
        outcome_of(then).replayed(now)


def test_decisions_that_running_code_never_takes_are_named_by_kind() -> None:
    from perdure.events import ExecutionCanceled

    driven = outcome_of(returns)
    driven.history[0] = msgspec.structs.replace(driven.history[0], decisions=[ExecutionCanceled("parent gone")])

    with pytest.raises(NotDeterministic, match="is ExecutionCanceled, the code now asks for the end"):
        driven.replayed()


def test_replay_knows_that_it_replays() -> None:
    seen: list[bool] = []

    async def curious() -> None:
        loop = asyncio.get_running_loop()
        seen.append(loop.is_replaying)  # type: ignore[attr-defined]
        await activity("a")
        seen.append(loop.is_replaying)  # type: ignore[attr-defined]

    driven = Driven(curious)
    driven.start()
    again = driven.replayed()
    again.turn(TaskCompleted(1, encode(None)))

    assert seen == [False, True, False]
