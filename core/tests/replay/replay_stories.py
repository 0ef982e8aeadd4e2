"""asyncio as people use it, as orchestrations. Run by `replay_simulator`, in this process and in others."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from replay_support import Code, activity, event, loop

from perdure.errors import ActivityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STORIES: dict[str, Code] = {}


def story(code: Code) -> Code:
    """Put an orchestration into the battery."""
    STORIES[code.__name__] = code
    return code


# ---- asyncio ---------------------------------------------------------------------------------------------------------


@story
async def sleeping() -> list[float]:
    began = loop().time()
    await asyncio.sleep(0)
    await asyncio.sleep(10)
    await asyncio.gather(asyncio.sleep(5), asyncio.sleep(3), asyncio.sleep(5))
    return [loop().time() - began >= 15]


@story
async def gathering() -> list[Any]:
    return await asyncio.gather(*(activity("double", index) for index in range(8)))


@story
async def gathering_exceptions() -> list[str]:
    found = await asyncio.gather(
        activity("double", 1),
        activity("fail", "a"),
        asyncio.sleep(3, "slept"),
        activity("fail", "b"),
        return_exceptions=True,
    )
    return [str(each) for each in found]


@story
async def gathering_until_the_first_failure() -> list[Any]:
    tasks = [asyncio.create_task(activity(name, name)) for name in ("double", "fail", "slow", "slow")]
    try:
        await asyncio.gather(*tasks)
    except ActivityError:
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)
    return [task.cancelled() or task.exception() is not None for task in tasks]


@story
async def grouping() -> int:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(activity("double", index)) for index in range(6)]
    return sum(task.result() for task in tasks)


@story
async def grouping_with_a_failing_member() -> list[str]:
    seen: list[str] = []

    async def member(name: str) -> None:
        try:
            await activity("slow", name)
        except asyncio.CancelledError:
            seen.append(name)
            await activity("double", name)
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for index in range(6):
                group.create_task(member(f"m{index}"))
            group.create_task(activity("fail", "x"))
    except* ActivityError as failures:
        seen.append(f"{len(failures.exceptions)} failed")
    return seen


@story
async def groups_in_groups() -> list[Any]:
    done: list[Any] = []

    async def inner(index: int) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(activity("double", index * 10 + each)) for each in range(3)]
        done.append([task.result() for task in tasks])

    async with asyncio.TaskGroup() as outer:
        for index in range(3):
            outer.create_task(inner(index))
    return done


@story
async def timing_out() -> list[str]:
    seen = []
    for name, seconds in (("double", 1000), ("slow", 1), ("never", 5)):
        try:
            async with asyncio.timeout(seconds):
                await activity(name, 1)
                seen.append(f"{name} in time")
        except TimeoutError:
            seen.append(f"{name} late")
    return seen


@story
async def rescheduling_a_timeout() -> list[bool]:
    async with asyncio.timeout(1) as scope:
        scope.reschedule(loop().time() + 1000)
        await activity("slow", 1)
    try:
        async with asyncio.timeout(1000) as other:
            other.reschedule(loop().time())
            await activity("never", 1)
    except TimeoutError:
        pass
    return [scope.expired(), other.expired()]


@story
async def waiting_for_in_time() -> list[Any]:
    return [await asyncio.wait_for(activity("double", index), 1000) for index in range(3)]


@story
async def waiting_for_too_long() -> list[str]:
    seen = []

    async def cleaning_up() -> None:
        try:
            await activity("never", 1)
        finally:
            seen.append(await activity("double", "x"))

    for awaitable in (activity("never", 1), cleaning_up(), event("never")):
        try:
            await asyncio.wait_for(awaitable, 5)
        except TimeoutError:
            seen.append("late")
    return seen


@story
async def waiting_for_side_by_side() -> list[str]:
    async def one(name: str, seconds: float) -> str:
        try:
            return str(await asyncio.wait_for(activity(name, seconds), seconds))
        except TimeoutError:
            return str(await activity("double", f"{name} late"))

    return await asyncio.gather(*(one(name, 5.0) for name in ("never", "double", "slow", "never", "double", "slow")))


@story
async def waiting_for_all() -> int:
    tasks = [asyncio.create_task(activity("double", index)) for index in range(6)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)
    return len(done) - len(pending)


@story
async def waiting_for_the_first() -> list[Any]:
    names = {asyncio.create_task(activity("slow", index)): index for index in range(8)}
    order: list[Any] = []
    pending = set(names)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        order.extend(names[task] for task in done)
        if len(order) > 4:
            for task in pending:  # the order of this set is the order of the cancel commands
                task.cancel()
    return order


@story
async def waiting_for_the_first_exception() -> list[bool]:
    tasks = [asyncio.create_task(activity(name, 1)) for name in ("slow", "double", "fail", "slow", "fail")]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    return [any(task.exception() is not None for task in done)]


@story
async def waiting_with_a_timeout() -> list[bool]:
    tasks = [asyncio.create_task(activity(name, 1)) for name in ("never", "double", "never")]
    done, pending = await asyncio.wait(tasks, timeout=50)
    for task in pending:
        task.cancel()
    return [task in done for task in tasks]


@story
async def taking_as_they_complete() -> list[Any]:
    async def helper(index: int) -> int:
        return await activity("slow", index) + 100

    coroutines = [helper(index) for index in range(8)]
    return [await each for each in asyncio.as_completed(coroutines)]


@story
async def taking_calls_as_they_complete_until_late() -> list[Any]:
    seen: list[Any] = []
    try:
        for each in asyncio.as_completed([activity(name, 1) for name in ("double", "never", "double")], timeout=60):
            seen.append(await each)  # noqa: PERF401 - an async generator would catch what is to be seen
    except TimeoutError:
        seen.append("late")
    return seen


@story
async def queueing() -> list[Any]:
    queue: asyncio.Queue[int | None] = asyncio.Queue(maxsize=2)
    results: list[Any] = []

    async def produce() -> None:
        for index in range(8):
            await queue.put(index)
        for _ in range(3):
            await queue.put(None)

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            results.append(await activity("double", item))
            queue.task_done()

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        for _ in range(3):
            group.create_task(consume())
    return results


@story
async def locking() -> list[str]:
    lock, order = asyncio.Lock(), []

    async def worker(name: str) -> None:
        async with lock:
            order.append(f"{name} in")
            await activity("double", name)
            order.append(f"{name} out")

    await asyncio.gather(*(worker(name) for name in "abc"))
    return order


@story
async def setting_events() -> list[str]:
    ready, order = asyncio.Event(), []

    async def waiter(name: str) -> None:
        await ready.wait()
        order.append(name)

    waiters = [asyncio.create_task(waiter(name)) for name in "abc"]
    await activity("double", 1)
    ready.set()
    await asyncio.wait(waiters)
    return order


@story
async def notifying() -> list[int]:
    condition, stock, taken = asyncio.Condition(), [], []

    async def consumer(index: int) -> None:
        async with condition:
            await condition.wait_for(lambda: stock)
            stock.pop()
            taken.append(index)

    consumers = [asyncio.create_task(consumer(index)) for index in range(3)]
    for _ in range(3):
        await activity("double", 1)
        async with condition:
            stock.append(1)
            condition.notify()
    await asyncio.wait(consumers)
    return taken


@story
async def limiting() -> list[int]:
    semaphore, running, peaks = asyncio.Semaphore(2), [], []

    async def worker(index: int) -> None:
        async with semaphore:
            running.append(index)
            peaks.append(len(running))
            await activity("slow", index)
            running.remove(index)

    await asyncio.gather(*(worker(index) for index in range(6)))
    return [max(peaks)]


@story
async def shielding() -> list[Any]:
    inner = asyncio.ensure_future(activity("slow", 1))
    outer = asyncio.create_task(_shielded(inner))
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([outer])
    return [outer.cancelled(), await inner]


async def _shielded(inner: asyncio.Future[Any]) -> Any:
    return await asyncio.shield(inner)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")


@story
async def keeping_contexts_apart() -> list[str]:
    async def setting(name: str) -> str:
        variable.set(name)
        await activity("double", name)
        return variable.get()

    before = variable.get()
    values = await asyncio.gather(*(setting(name) for name in "abc"))
    return [before, *values, variable.get()]


@story
async def cancelling_with_cleanup() -> list[str]:
    seen: list[str] = []

    async def careful() -> None:
        try:
            await activity("never", 1)
        finally:
            seen.append(await activity("double", "cleanup"))
            await asyncio.sleep(2)
            seen.append("clean")

    task = asyncio.create_task(careful())
    await asyncio.sleep(1)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        seen.append("cancelled")
    return seen


@story
async def uncancelling() -> list[Any]:
    async def stubborn() -> str:
        try:
            await activity("never", 1)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return str(await activity("double", "went on"))

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel("please")
    return [await task, task.cancelling()]


async def _pages(count: int) -> AsyncIterator[Any]:
    for index in range(count):
        yield await activity("double", index)


@story
async def generating() -> list[Any]:
    return [page async for page in _pages(5)]


@story
async def generating_and_leaving_early() -> list[Any]:
    seen: list[Any] = []
    for limit in (1, 2):
        async for page in _pages(5):
            seen.append(page)
            if len(seen) >= limit:
                break
    return seen


@story
async def generating_side_by_side() -> list[Any]:
    async def collect(count: int) -> list[Any]:
        return [page async for page in _pages(count)]

    return await asyncio.gather(collect(2), collect(3))
