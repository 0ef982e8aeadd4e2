"""How an execution ends: at once, once, and with everything that was left over stopped and ignored."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest
from replay_support import Driven, activity, child, decode, encode, event, failure, loop, result_of

from perdure.commands import Complete, Fail, ScheduleTask
from perdure.errors import Failure, Misuse, NonRetryable
from perdure.events import EventRaised, TaskCompleted, TaskFailed, TimerFired
from perdure.replay import Call, Execution, Program, TurnDoomed


def failure_of(driven: Driven) -> Failure:
    (failed,) = driven.start()
    assert isinstance(failed, Fail)
    assert driven.execution.is_closed
    return failed.failure


def test_what_code_raises_is_the_failure() -> None:
    async def failing() -> None:
        raise ValueError("bad order")

    recorded = failure_of(Driven(failing))

    assert (recorded.type, recorded.message, recorded.retryable) == ("ValueError", "bad order", True)
    assert "in failing" in recorded.traceback
    assert "perdure/replay" not in recorded.traceback


def test_a_failure_that_code_marks_as_final_is_not_retryable() -> None:
    async def failing() -> None:
        raise NonRetryable("never again")

    assert failure_of(Driven(failing)).retryable is False


def test_raising_cancelled_error_without_being_cancelled_is_a_failure() -> None:
    async def giving_up() -> None:
        raise asyncio.CancelledError("enough")

    assert failure_of(Driven(giving_up)).type == "asyncio.exceptions.CancelledError"


def test_an_exception_that_is_no_exception_class_of_application_code_is_a_failure_too() -> None:
    class Odd(BaseException):
        pass

    async def failing() -> None:
        raise Odd("odd")

    assert failure_of(Driven(failing)).message == "odd"


def test_an_input_that_does_not_fit_any_more_dooms_the_turn() -> None:
    """It did fit when the instance was started: a deploy must not fail what runs."""

    def start(_payload: bytes) -> object:
        raise Misuse("amount: expected int, got str")

    execution = Execution(Program("p", None, start, encode), instance_id="i", incarnation="x")  # type: ignore[arg-type]
    driven = Driven(decode)
    driven.execution = execution

    with pytest.raises(TurnDoomed, match="amount: expected int, got str") as doomed:
        driven.start()
    assert doomed.value.reason == "input"


def test_a_result_that_cannot_be_encoded_fails_for_good() -> None:
    async def returning() -> object:
        return object()

    recorded = failure_of(Driven(returning))

    assert recorded.type == "TypeError"
    assert recorded.retryable is False


def test_the_end_is_decided_when_the_main_coroutine_returns_whatever_still_runs() -> None:
    async def hasty() -> str:
        asyncio.create_task(activity("background"))  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    driven = Driven(hasty)

    assert [type(each) for each in driven.start()] == [ScheduleTask, Complete]
    assert driven.execution.waiting_for() == ()


def test_tasks_that_are_left_get_cancelled_error_once_and_what_they_ask_for_is_ignored() -> None:
    seen: list[str] = []

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await activity("work")
                seen.append("result")
            except asyncio.CancelledError:
                seen.append("cancelled")

    async def hasty() -> str:
        asyncio.create_task(stubborn())  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    driven = Driven(hasty)

    assert [type(each) for each in driven.start()] == [ScheduleTask, Complete]
    assert seen == ["cancelled"]


def test_inputs_after_the_end_are_dropped() -> None:
    async def hasty() -> str:
        asyncio.create_task(activity("background"))  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    driven = Driven(hasty)
    driven.start()

    late = (TaskCompleted(1, encode(1)), EventRaised("e", b"", "m"), TimerFired(99))
    assert driven.turn(*late) == ()


def test_inputs_of_the_same_turn_after_the_end_are_dropped() -> None:
    async def hasty() -> object:
        return await event("e")

    driven = Driven(hasty)

    assert driven.start(EventRaised("e", encode(1), "m"), EventRaised("e", encode(2), "n")) == (Complete(encode(1)),)


def test_timers_and_children_after_the_end_are_no_commands() -> None:
    async def background() -> None:
        try:
            await activity("work")
        finally:
            loop().call_later(5, print).cancel()
            await asyncio.sleep(1)

    async def hasty() -> str:
        asyncio.create_task(background())  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    assert [type(each) for each in Driven(hasty).start()] == [ScheduleTask, Complete]


def test_what_is_asked_between_the_return_and_its_recording_is_ignored() -> None:
    """All tasks wake by one future; main returns first, and the others still have their step to run."""

    async def main() -> str:
        shared = loop().create_future()

        async def background(call: Call[object]) -> None:
            await shared
            loop().call_later(5, print)
            await call

        task = asyncio.create_task(background(activity("too late")))
        other = asyncio.create_task(background(child("too late")))
        loop().call_soon(shared.set_result, None)
        await shared
        return f"done {task.done() or other.done()}"

    driven = Driven(main)

    assert driven.start() == (Complete(encode("done False")),)


def test_timers_that_are_left_are_waited_for_no_more() -> None:
    async def hasty() -> None:
        loop().call_later(60, print)

    driven = Driven(hasty)
    driven.start()

    assert driven.execution.waiting_for() == ()


def test_a_task_that_spins_after_the_end_does_not_hold_it_up() -> None:
    async def spinning() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    async def hasty() -> str:
        asyncio.create_task(spinning())  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    driven = Driven(hasty)

    assert driven.start() == (Complete(encode("done")),)
    assert driven.execution.close() == 0


def test_refused_calls_after_the_end_doom_nothing() -> None:
    """The outcome stands; but they are refused all the same."""
    seen: list[str] = []

    async def background() -> None:
        try:
            await activity("work")
        except asyncio.CancelledError:
            try:
                loop().run_in_executor(None, print)
            except Exception as error:  # noqa: BLE001 - what this test is about
                seen.append(type(error).__name__)

    async def hasty() -> str:
        asyncio.create_task(background())  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    assert result_of(Driven(hasty).start()) == "done"
    assert seen == ["NotDeterministic"]


def test_an_error_that_nobody_awaited_is_kept_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    async def failing() -> None:
        raise ValueError("unseen")

    async def careless() -> str:
        asyncio.create_task(failing())  # noqa: RUF006 - left behind on purpose
        return await event("go")

    driven = Driven(careless)
    driven.start()
    driven.turn(EventRaised("go", encode("went"), "m"))
    driven.execution.close()

    (unhandled,) = driven.execution.unhandled
    assert "never retrieved" in unhandled.message
    assert unhandled.failure is not None
    assert unhandled.failure.message == "unseen"
    assert capsys.readouterr().err == ""


def test_an_error_in_a_callback_is_kept_and_the_code_goes_on() -> None:
    async def careless() -> str:
        loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        return "done"

    driven = Driven(careless)

    assert result_of(driven.start()) == "done"
    (unhandled,) = driven.execution.unhandled
    assert "a callback raised" in unhandled.message
    assert unhandled.failure is not None
    assert unhandled.failure.type == "ZeroDivisionError"


def test_what_code_reports_to_the_exception_handler_is_kept_and_bounded() -> None:
    async def reporting() -> None:
        for index in range(150):
            loop().call_exception_handler({"message": f"report {index}"})

    driven = Driven(reporting)
    driven.start()

    assert len(driven.execution.unhandled) == 100
    assert driven.execution.unhandled[0].failure is None


def test_the_failure_of_an_activity_is_the_cause_of_the_failure() -> None:
    async def failing() -> None:
        await activity("pay")

    driven = Driven(failing)
    driven.start()
    (failed,) = driven.turn(TaskFailed(1, failure("shop.Declined", "no money", cause=failure("bank.Empty", "0"))))

    assert isinstance(failed, Fail)
    assert failed.failure.type == "perdure.errors.ActivityError"
    assert failed.failure.cause is not None
    assert failed.failure.cause.type == "shop.Declined"
    assert failed.failure.cause.cause == failure("bank.Empty", "0")


def test_members_of_a_task_group_are_members_of_the_failure() -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(activity("a"))
            group.create_task(activity("b"))

    driven = Driven(grouped)
    driven.start()
    asked = driven.turn(TaskFailed(1, failure(message="a failed")))

    failed = asked[-1]
    assert isinstance(failed, Fail)
    assert failed.failure.type == "ExceptionGroup"
    (member,) = failed.failure.members
    assert member.cause == failure(message="a failed")


def test_contexts_are_fresh_for_each_execution() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="default")
    variable.set("of the worker")

    async def curious() -> str:
        before = variable.get()
        variable.set("of the orchestration")
        return before

    assert result_of(Driven(curious).start()) == "default"
    assert variable.get() == "of the worker"


def test_the_thread_is_left_as_it_was() -> None:
    async def simple() -> None:
        assert asyncio.get_running_loop() is loop()
        assert loop().is_running()
        assert not loop().is_closed()

    hooks = sys.get_asyncgen_hooks()
    Driven(simple).start()

    assert sys.get_asyncgen_hooks() == hooks
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
