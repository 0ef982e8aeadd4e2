"""A call is a coroutine: awaited once, in a task or directly; outside of orchestrations it just runs."""

from __future__ import annotations

import asyncio
import collections.abc
import inspect
import warnings

import pytest
from replay_support import ActivityCall, Driven, activity, child, encode, event, loop, result_of

from perdure.commands import ScheduleTask
from perdure.errors import NotDeterministic
from perdure.events import EventRaised, TaskCompleted
from perdure.replay import Call, TurnDoomed, current_loop


async def test_outside_of_an_orchestration_awaiting_runs_the_function() -> None:
    assert await activity("a") == "a ran outside"
    assert await asyncio.create_task(activity("b")) == "b ran outside"
    assert await asyncio.gather(activity("c"), child("d")) == ["c ran outside", "d ran outside"]
    assert current_loop() is None


def test_a_call_is_a_coroutine_to_asyncio_and_to_type_checks() -> None:
    call = activity("a")

    assert isinstance(call, collections.abc.Coroutine)
    assert asyncio.iscoroutine(call)
    assert inspect.isawaitable(call)
    call.close()


def test_a_call_cannot_be_awaited_twice() -> None:
    async def twice() -> str:
        call = activity("a")
        await call
        try:
            await call
        except RuntimeError as error:
            return str(error)
        return "not reached"

    driven = Driven(twice)
    driven.start()

    assert "second time" in result_of(driven.turn(TaskCompleted(1, encode(None))))


def test_a_call_in_a_task_can_be_caught_up_with_its_result_or_cancellation() -> None:
    async def tasks() -> list[object]:
        good, bad = asyncio.create_task(activity("good")), asyncio.create_task(activity("bad"))
        value = await good
        bad.cancel()
        await asyncio.wait([bad])
        return [value, bad.cancelled()]

    driven = Driven(tasks)
    driven.start()

    assert result_of(driven.turn(TaskCompleted(1, encode("value")))) == ["value", True]


def test_a_task_that_is_cancelled_before_its_first_step_asks_for_nothing() -> None:
    async def hasty() -> str:
        task = asyncio.create_task(activity("never"))
        task.cancel()
        await asyncio.wait([task])
        return f"{task.cancelled()}"

    driven = Driven(hasty)

    asked = driven.start()
    assert result_of(asked) == "True"
    assert len(asked) == 1
    assert driven.execution.unstarted == ()


def test_a_call_that_is_closed_is_not_missed() -> None:
    async def changed_its_mind() -> None:
        activity("never").close()

    driven = Driven(changed_its_mind)
    driven.start()

    assert driven.execution.unstarted == ()


def test_a_closed_call_cannot_be_awaited() -> None:
    async def closing() -> str:
        call = activity("never")
        call.close()
        try:
            await call
        except RuntimeError as error:
            return str(error)
        return "not reached"

    assert "second time" in result_of(Driven(closing).start())


def test_a_call_that_was_started_can_be_closed_and_thrown_into() -> None:
    async def driving() -> list[str]:
        seen = []
        closed, thrown = activity("a"), activity("b")
        closed.send(None)
        closed.close()
        thrown.send(None)
        try:
            thrown.throw(ValueError("thrown"))
        except ValueError as error:
            seen.append(str(error))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the old signature, which coroutines still take
            again = activity("c")
            again.send(None)
            try:
                again.throw(ValueError, ValueError("old way"), None)
            except ValueError as error:
                seen.append(str(error))
        return seen

    asked = Driven(driving).start()
    assert result_of(asked) == ["thrown", "old way"]
    assert [type(each) for each in asked[:3]] == [ScheduleTask] * 3


def test_a_call_that_has_not_started_takes_none_only() -> None:
    call = activity("a")

    with pytest.raises(TypeError, match="just-started"):
        call.send("value")
    call.close()


async def test_a_call_that_is_forgotten_outside_of_orchestrations_warns_as_coroutines_do() -> None:
    with pytest.warns(RuntimeWarning, match="ActivityCall was never awaited") as caught:
        activity("forgotten")

    assert caught[0].filename == __file__


def test_a_subclass_that_fails_before_it_is_made_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    class Broken(ActivityCall):
        def __init__(self) -> None:
            raise LookupError

    with pytest.raises(LookupError):
        Broken()
    assert len(recwarn) == 0


def test_a_subclass_may_say_what_a_call_is() -> None:
    class Named(ActivityCall):
        def _describe(self) -> str:
            return f"activity {self.name}"

    async def forgetful() -> None:
        Named("x")

    driven = Driven(forgetful)
    driven.start()

    assert driven.execution.unstarted[0].what == "activity x"


async def test_a_call_of_an_orchestration_never_runs_outside_of_it() -> None:
    """Its code would run unrecorded, for example from a finalizer on the worker's loop."""
    leaked: list[Call[object]] = []

    async def leaking() -> str:
        leaked.append(activity("charge"))
        return await event("go")

    driven = Driven(leaking)
    driven.start()

    with pytest.raises(NotDeterministic, match=r"awaited outside of it, at .*test_calls\.py"):
        await leaked[0]
    driven.turn(EventRaised("go", encode(1), "m"))
    driven.execution.close()


def test_a_call_of_a_closed_execution_never_ends_so_that_its_last_code_cannot_spin() -> None:
    """Code that catches everything and tries again, in the hands of the garbage collector."""
    leaked: list[Call[object]] = []

    async def leaking() -> None:
        leaked.append(activity("charge"))
        await event("go")

    driven = Driven(leaking)
    driven.start()
    driven.execution.close()

    waits_for = leaked[0].send(None)
    assert isinstance(waits_for, asyncio.Future)
    assert not waits_for.done()


def test_a_call_of_one_orchestration_awaited_in_another_dooms_that_one() -> None:
    leaked: list[Call[object]] = []

    async def leaking() -> None:
        leaked.append(activity("charge"))
        await event("go")

    async def taking() -> None:
        await leaked[0]

    first = Driven(leaking, instance_id="first")
    first.start()

    with pytest.raises(TurnDoomed, match="made inside the orchestration first"):
        Driven(taking, instance_id="second").start()
    first.execution.close()


def test_a_call_that_was_made_outside_is_recorded_where_it_is_awaited() -> None:
    early = activity("early")

    async def awaiting() -> None:
        await early

    (asked,) = Driven(awaiting).start()
    assert isinstance(asked, ScheduleTask)
    assert asked.name == "early"


def test_a_call_is_equal_to_itself_only() -> None:
    first, second = activity("a"), activity("a")

    assert first == first  # noqa: PLR0124 - what this test is about
    assert first != second
    assert len({first, second}) == 2
    first.close()
    second.close()


def test_a_call_whose_start_fails_raises_where_it_is_awaited_and_is_used_up() -> None:
    async def failing() -> list[str]:
        call = child("ship", id="")
        seen = []
        for _ in range(2):
            try:
                await call
            except Exception as error:  # noqa: BLE001 - what this test is about
                seen.append(type(error).__name__)
        return seen

    assert result_of(Driven(failing).start()) == ["Misuse", "RuntimeError"]


def test_the_current_loop_is_the_loop_of_the_code() -> None:
    async def simple() -> bool:
        return current_loop() is loop() is asyncio.get_running_loop()

    assert result_of(Driven(simple).start()) is True
