"""Turns that must not be committed: found wherever they go wrong, also when code swallows the exception."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pytest
from replay_support import Code, Driven, activity, encode, event, failure, loop, result_of

from perdure.errors import ActivityError, NotDeterministic
from perdure.events import TaskCompleted, TaskFailed
from perdure.replay import TurnDoomed, TurnOverrun
from perdure.replay._fatal import fatal_reason


def doomed(driven: Driven) -> TurnDoomed:
    with pytest.raises(TurnDoomed) as caught:
        driven.start()
    assert not driven.execution.is_closed
    return caught.value


def test_waiting_for_what_nothing_can_bring_is_a_deadlock() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    error = doomed(Driven(stuck))

    assert error.reason == "deadlock"
    assert str(error).startswith("order-1: ")
    assert "test_doomed.py:" in str(error)
    assert "in stuck" in str(error)
    assert "await a perdure Event" in str(error)


def test_a_deadlock_is_found_in_a_later_turn_and_in_replay() -> None:
    async def stuck() -> None:
        await activity("a")
        await asyncio.Event().wait()

    async def not_stuck() -> None:
        await activity("a")
        await event("go")

    driven = Driven(not_stuck)
    driven.start()
    driven.turn(TaskCompleted(1, encode(None)))

    with pytest.raises(TurnDoomed) as caught:
        driven.replayed(stuck)
    assert caught.value.reason == "deadlock"


def test_waiting_for_an_event_is_no_deadlock() -> None:
    async def listening() -> None:
        await event("go")

    assert Driven(listening).start() == ()


def test_polling_is_stopped_after_100_000_callbacks() -> None:
    async def polling() -> None:
        task = asyncio.create_task(activity("slow"))
        while not task.done():
            await asyncio.sleep(0)

    error = doomed(Driven(polling))

    assert error.reason == "overrun"
    assert "100,000 callbacks" in str(error)
    assert "not on sleep(0)" in str(error)


def test_commands_and_inputs_give_new_room() -> None:
    async def busy() -> str:
        for _ in range(3):
            for _ in range(60_000):
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(1, print)
        return "done"

    assert result_of(Driven(busy).start()) == "done"


def overrunning(driven: Driven) -> None:
    """What the watchdog does, from inside the code, at a point that the test chooses."""
    driven.execution.overrun_requested = True
    assert driven.execution.overrun_requested
    raise TurnOverrun


def test_an_overrun_that_lands_in_code_dooms_the_turn() -> None:
    async def slow() -> None:
        overrunning(driven)

    driven = Driven(slow)

    error = doomed(driven)
    assert error.reason == "overrun"
    assert "took too long" in str(error)


def test_an_overrun_that_code_swallows_dooms_the_turn() -> None:
    async def slow() -> str:
        with contextlib.suppress(BaseException):
            overrunning(driven)
        return "as if nothing had happened"

    driven = Driven(slow)

    assert doomed(driven).reason == "overrun"


def test_an_overrun_that_lands_in_a_task_or_callback_dooms_the_turn() -> None:
    async def in_task() -> None:
        async def slow() -> None:
            overrunning(driven)

        await asyncio.wait({asyncio.create_task(slow())})

    async def in_callback() -> None:
        loop().call_soon(overrunning, driven)
        await activity("a")

    for code in (in_task, in_callback):
        driven = Driven(code)
        assert doomed(driven).reason == "overrun"


def test_an_overrun_that_was_requested_too_late_to_be_thrown_dooms_the_turn() -> None:
    async def slow() -> None:
        driven.execution.overrun_requested = True
        await activity("a")

    driven = Driven(slow)

    assert doomed(driven).reason == "overrun"


def test_an_overrun_that_lands_in_the_driver_dooms_the_turn_and_gives_the_thread_back() -> None:
    """Feeding an input is the driver's own code: the throw may land there as well."""

    def decode(_payload: bytes) -> object:
        raise TurnOverrun

    async def simple() -> None:
        await activity("a", decode=decode)

    driven = Driven(simple)
    driven.start()

    with pytest.raises(TurnDoomed) as caught:
        driven.turn(TaskCompleted(1, b""))
    assert caught.value.reason == "overrun"
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_an_overrun_that_lands_while_the_thread_is_given_back_is_made_good() -> None:
    """The throw lands between two statements of `leave`."""

    async def simple() -> None:
        await activity("a")

    driven = Driven(simple)
    thrown: list[bool] = []

    def throw_once(frame: object, event_name: str, _argument: object) -> object:
        code = frame.f_code  # type: ignore[attr-defined]
        if code.co_name == "leave" and event_name == "line" and not thrown and "loop" in frame.f_locals:  # type: ignore[attr-defined]
            thrown.append(True)
            raise TurnOverrun
        return throw_once

    before = sys.get_asyncgen_hooks()
    tracing = sys.gettrace()
    sys.settrace(throw_once)  # type: ignore[arg-type]
    try:
        with pytest.raises(TurnDoomed) as caught:
            driven.start()
    finally:
        sys.settrace(tracing)
    assert thrown
    assert caught.value.reason == "overrun"
    assert sys.get_asyncgen_hooks() == before
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


async def recursing() -> None:
    def deeper(level: int) -> int:
        return deeper(level + 1) + 1

    deeper(0)


async def out_of_memory() -> None:
    raise MemoryError


async def not_deterministic() -> None:
    raise NotDeterministic("said so itself")


@pytest.mark.parametrize(
    ("code", "reason", "cause", "message"),
    [
        (recursing, "recursion", RecursionError, "use a loop"),
        (out_of_memory, "memory", MemoryError, "pass references"),
        (not_deterministic, "not_deterministic", NotDeterministic, "said so itself"),
    ],
)
def test_errors_that_depend_on_where_it_runs_are_never_the_outcome(
    code: Code, reason: str, cause: type[BaseException], message: str
) -> None:
    async def in_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(code())

    async def as_cause() -> None:
        try:
            await code()
        except Exception as error:
            raise ValueError("it did not work") from error

    async def as_context() -> None:
        try:
            await code()
        finally:
            raise ValueError("nor did this")

    async def in_callback() -> None:
        coroutine = code()
        loop().call_soon(coroutine.send, None)
        await event("never")

    for way in (code, in_group, as_cause, as_context, in_callback):
        error = doomed(Driven(way))
        assert error.reason == reason
        assert isinstance(error.cause, cause)
        assert message in str(error)


def test_an_error_that_code_deals_with_and_hides_is_its_own_business() -> None:
    async def dealing() -> None:
        try:
            await recursing()
        except RecursionError:
            raise ValueError("too deep") from None

    assert len(Driven(dealing).start()) == 1


def test_what_an_activity_ran_into_is_no_error_of_the_turn() -> None:
    """An activity's MemoryError, made again because it was declared, happened elsewhere and is recorded."""

    def restore(recorded: object, _id: str) -> BaseException:
        error = MemoryError("in the activity")
        error.__cause__ = ActivityError("activity", failure=recorded)  # type: ignore[arg-type]
        return error

    async def awaiting() -> None:
        call = activity("big")
        call._restore = restore  # type: ignore[method-assign]
        await call

    driven = Driven(awaiting)
    driven.start()

    (failed,) = driven.turn(TaskFailed(1, failure("MemoryError")))
    assert failed.failure.type == "MemoryError"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_goes_through_and_the_execution_is_over(kind: type[BaseException]) -> None:
    async def interrupted() -> None:
        raise kind

    async def in_callback() -> None:
        def interrupt() -> None:
            raise kind

        loop().call_soon(interrupt)
        await event("never")

    for code in (interrupted, in_callback):
        driven = Driven(code)
        with pytest.raises(kind):
            driven.start()
        with pytest.raises(TurnDoomed, match="broke or was closed"):
            driven.turn()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        driven.execution.close()


def test_an_interrupt_that_was_packed_into_a_group_is_never_the_outcome() -> None:
    async def packing() -> None:
        raise BaseExceptionGroup("packed", [SystemExit(3)])

    error = doomed(Driven(packing))

    assert error.reason == "interrupted"
    assert isinstance(error.cause, SystemExit)


def test_an_error_in_the_driver_itself_is_not_taken_for_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours must be seen as one; the instance can be replayed by a mended release."""

    async def simple() -> None:
        await activity("a")

    driven = Driven(simple)
    driven.start()
    monkeypatch.setattr("perdure.replay._execution.feed", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        driven.turn(TaskCompleted(1, b""))
    with pytest.raises(TurnDoomed, match="broke or was closed"):
        driven.turn()


def test_causes_that_run_in_a_circle_are_walked_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first

    assert fatal_reason(first) is None


def test_the_first_reason_stays() -> None:
    async def twice() -> None:
        for name in ("stop", "close"):
            try:
                getattr(loop(), name)()
            except NotDeterministic:
                continue

    assert "loop.stop()" in str(doomed(Driven(twice)))
