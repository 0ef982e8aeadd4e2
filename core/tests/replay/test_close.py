"""Taking executions down: `finally` runs, nothing it does counts, nothing is left to the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
from typing import TYPE_CHECKING

import pytest
from replay_support import Driven, activity, encode, event, loop, opened

from perdure.events import EventRaised, TaskCompleted
from perdure.replay import TurnDoomed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

seen: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def closed(driven: Driven) -> int:
    driven.start()
    return driven.execution.close()


def test_finally_runs_with_a_loop_a_current_task_and_its_own_context() -> None:
    variable = contextvars.ContextVar("variable", default="none")

    async def waiting() -> None:
        token = variable.set("mine")
        try:
            await activity("a")
        finally:
            current = asyncio.current_task()
            assert current is not None
            seen.extend([current.get_name(), variable.get(), asyncio.get_running_loop() is loop(), loop().is_closed()])
            variable.reset(token)

    assert closed(Driven(waiting)) == 0
    assert seen == ["task-1", "mine", True, True]


def test_a_finally_that_awaits_is_closed_again_and_its_calls_never_run() -> None:
    async def waiting() -> None:
        try:
            await activity("a")
        finally:
            try:
                seen.append("cleaning up")
                await activity("refund")
                seen.append("not reached")
            finally:
                seen.append("closed again")

    assert closed(Driven(waiting)) == 0
    assert seen == ["cleaning up", "closed again"]


def test_what_will_not_be_closed_survives_and_is_counted() -> None:
    stubborn = [True]  # a worker keeps survivors for ever; a test must get rid of its own

    async def immortal() -> None:
        while stubborn:
            try:
                await activity("a")
            except BaseException:  # noqa: BLE001 - what this test is about
                continue

    async def main() -> None:
        asyncio.create_task(immortal())  # noqa: RUF006 - left behind on purpose
        await activity("b")

    driven = Driven(main)

    assert closed(driven) == 1
    (survivor,) = driven.execution.survivors
    assert isinstance(survivor, asyncio.Task)
    stubborn.clear()
    survivor.get_coro().close()


def test_children_and_groups_are_closed_with_their_parents() -> None:
    async def member(name: str) -> None:
        try:
            await activity(name)
        finally:
            seen.append(name)

    async def main() -> None:
        try:
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(member("a"))
                group.create_task(member("b"))
        finally:
            seen.append("main")

    assert closed(Driven(main)) == 0
    assert sorted(map(str, seen)) == ["a", "b", "main"]


def test_tasks_that_are_made_while_closing_are_closed_too() -> None:
    async def late() -> None:
        seen.append("not reached")

    async def main() -> None:
        try:
            await activity("a")
        finally:
            asyncio.create_task(late())  # noqa: RUF006 - left behind on purpose
            async with asyncio.timeout(5):
                await event("e")

    assert closed(Driven(main)) == 0
    assert seen == []


def test_an_error_while_closing_is_kept_for_people() -> None:
    async def main() -> None:
        try:
            await activity("a")
        finally:
            raise ValueError("while closing")

    driven = Driven(main)

    assert closed(driven) == 0
    (unhandled,) = driven.execution.unhandled
    assert unhandled.message == "closing task-1 raised"
    assert unhandled.failure is not None
    assert unhandled.failure.message == "while closing"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_closing_goes_through_and_the_thread_is_given_back(kind: type[BaseException]) -> None:
    async def main() -> None:
        try:
            await activity("a")
        finally:
            raise kind

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise kind

    async def left_early() -> None:
        async for _ in generator():
            await activity("a")

    for code in (main, left_early):
        driven = Driven(code)
        driven.start()
        with pytest.raises(kind):
            driven.execution.close()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()


def test_refused_operations_while_closing_are_refused() -> None:
    async def main() -> None:
        try:
            await activity("a")
        finally:
            await asyncio.to_thread(seen.append, "ran")

    driven = Driven(main)

    assert closed(driven) == 0
    assert seen == []
    assert "run_in_executor" in str(driven.execution.unhandled[0].failure)


def test_nothing_is_printed_about_pending_tasks(capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        await asyncio.gather(activity("a"), activity("b"), asyncio.sleep(9), event("e"))

    driven = Driven(main)
    assert closed(driven) == 0
    opened.clear()
    del driven
    gc.collect()

    assert capfd.readouterr().err == ""


def test_an_execution_that_is_dropped_without_closing_runs_nothing_for_the_record() -> None:
    """Not supported, but what its `finally` asks for must not get anywhere, nor break anything."""

    async def main() -> None:
        handle = loop().call_later(5, print)
        try:
            await activity("a")
        finally:
            handle.cancel()
            seen.append("finally")

    driven = Driven(main)
    driven.start()
    opened.clear()
    del driven
    gc.collect()

    assert seen == ["finally"]


def test_a_closed_execution_takes_no_more_turns_and_may_be_closed_again() -> None:
    async def main() -> None:
        await activity("a")

    driven = Driven(main)
    driven.start()
    assert driven.execution.close() == 0
    assert driven.execution.close() == 0
    with pytest.raises(TurnDoomed, match="closed before"):
        driven.turn(TaskCompleted(1, encode(1)))


def test_an_execution_that_never_started_can_be_closed() -> None:
    async def main() -> None:
        await activity("a")

    assert Driven(main).execution.close() == 0


async def numbers() -> AsyncIterator[int]:
    try:
        yield 1
        yield 2
    finally:
        seen.append("generator closed")
        await activity("never recorded")


def test_an_async_generator_that_is_left_early_is_closed_when_the_execution_is() -> None:
    """Its end would otherwise depend on the garbage collector, and its activity would be recorded or not by chance."""

    async def main() -> str:
        async for _ in numbers():
            break
        gc.collect()
        return await event("go")

    driven = Driven(main)
    assert driven.start() == ()
    assert len(driven.turn(EventRaised("go", encode("went"), "m"))) == 1
    assert seen == []

    assert driven.execution.close() == 0
    assert seen == ["generator closed"]


def test_an_async_generator_in_aclosing_is_closed_where_it_is_left() -> None:
    async def main() -> None:
        async with contextlib.aclosing(numbers()) as each:  # type: ignore[type-var]
            async for _ in each:
                break

    (asked,) = Driven(main).start()
    assert asked.name == "never recorded"  # type: ignore[union-attr]


def test_an_async_generator_that_will_not_be_closed_survives() -> None:
    stubborn = [True]

    async def immortal() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            while stubborn:
                with contextlib.suppress(BaseException):
                    await event("e")

    async def main() -> None:
        async for _ in immortal():
            break
        await event("go")

    driven = Driven(main)

    assert closed(driven) == 1
    (survivor,) = driven.execution.survivors
    assert hasattr(survivor, "ag_frame")
    stubborn.clear()


def test_an_async_generator_that_raises_while_it_is_closed_is_kept_for_people() -> None:
    async def failing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("while closing")

    async def main() -> None:
        async for _ in failing():
            break
        await event("go")

    driven = Driven(main)

    assert closed(driven) == 0
    assert "while closing" in str(driven.execution.unhandled[0].failure)


def test_an_async_generator_of_an_execution_that_is_dropped_runs_nothing() -> None:
    async def main() -> None:
        async for _ in numbers():
            break
        await event("go")

    driven = Driven(main)
    driven.start()
    opened.clear()
    del driven
    gc.collect()

    assert seen == []


async def test_everything_works_inside_a_running_asyncio_loop() -> None:
    """The worker steps executions from its own coroutines."""

    async def main() -> list[object]:
        async for _ in numbers():
            break
        async with asyncio.timeout(5):
            return [await activity("a"), asyncio.current_task() is outer]

    outer, running = asyncio.current_task(), asyncio.get_running_loop()
    driven = Driven(main)
    driven.start()
    assert asyncio.get_running_loop() is running
    driven.turn(TaskCompleted(2, encode("value")))
    driven.execution.close()

    assert asyncio.current_task() is outer
    assert asyncio.get_running_loop() is running
    await asyncio.sleep(0)
    assert seen == ["generator closed"]
