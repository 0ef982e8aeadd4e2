"""Idioms of tasks that share something: queues, locks, futures, generators, contexts."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING

from perdure_conformance.scenarios._battery import NEVER, Battery, slowly
from perdure_conformance.scenarios._samples import double

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ["SHARING"]

SHARING = Battery()

_place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


@SHARING.gives([0, 2, 4, 6, 8])
async def queue_of_jobs() -> list[int]:
    jobs: asyncio.Queue[int | None] = asyncio.Queue(maxsize=2)
    results: list[int] = []

    async def produce() -> None:
        for each in (*range(5), None, None):
            await jobs.put(each)

    async def consume() -> None:
        while (job := await jobs.get()) is not None:
            results.append(await double(job))
            jobs.task_done()

    await asyncio.gather(produce(), consume(), consume())
    return sorted(results)


@SHARING.gives(["a in", "a out", "b in", "b out"])
async def lock() -> list[str]:
    mutex, order = asyncio.Lock(), list[str]()

    async def enter(name: str) -> None:
        async with mutex:
            order.append(f"{name} in")
            await double(1)
            order.append(f"{name} out")

    await asyncio.gather(enter("a"), enter("b"))
    return order


@SHARING.gives(["a", "b"])
async def event() -> list[str]:
    ready, order = asyncio.Event(), list[str]()

    async def wait(name: str) -> None:
        await ready.wait()
        order.append(name)

    waiters = [asyncio.create_task(wait(name)) for name in "ab"]
    await double(1)
    ready.set()
    await asyncio.wait(waiters)
    return order


@SHARING.gives([0, 1])
async def condition() -> list[int]:
    changed, stock, taken = asyncio.Condition(), list[int](), list[int]()

    async def consume(index: int) -> None:
        async with changed:
            await changed.wait_for(lambda: stock)
            stock.pop()
            taken.append(index)

    consumers = [asyncio.create_task(consume(index)) for index in range(2)]
    for _ in consumers:
        await double(1)
        async with changed:
            stock.append(1)
            changed.notify()
    await asyncio.wait(consumers)
    return taken


@SHARING.gives(2)
async def semaphore() -> int:
    places, inside, peaks = asyncio.Semaphore(2), list[int](), list[int]()

    async def enter(index: int) -> None:
        async with places:
            inside.append(index)
            peaks.append(len(inside))
            await double(index)
            inside.remove(index)

    await asyncio.gather(*(enter(index) for index in range(5)))
    return max(peaks)


@SHARING.gives(3)
async def barrier() -> int:
    meeting = asyncio.Barrier(3)
    passed: list[int] = []

    async def come(index: int) -> None:
        await slowly(index)
        async with meeting:
            passed.append(index)

    await asyncio.gather(*(come(index) for index in range(3)))
    return len(passed)


@SHARING.gives([0, 2, 4])
async def async_generator() -> list[int]:
    async def doubled() -> AsyncIterator[int]:
        for each in range(3):
            yield await double(each)

    return [each async for each in doubled()]


@SHARING.gives([2, "closed 20"])
async def async_generator_left_early() -> list[object]:
    seen: list[object] = []

    async def doubled() -> AsyncGenerator[int]:
        try:
            for each in range(1, 9):
                yield await double(each)
        finally:
            seen.append(f"closed {await double(10)}")

    async with contextlib.aclosing(doubled()) as values:
        async for value in values:
            seen.append(value)
            break
    return seen


@SHARING.gives(["enter a", "enter b", "leave b", "leave a"])
async def exit_stack() -> list[str]:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def step(name: str) -> AsyncIterator[None]:
        await double(1)
        seen.append(f"enter {name}")
        yield
        await double(2)
        seen.append(f"leave {name}")

    async with contextlib.AsyncExitStack() as stack:
        for name in "ab":
            await stack.enter_async_context(step(name))
    return seen


@SHARING.gives(["here", "a", "b", "here"])
async def context_variables() -> list[str]:
    _place.set("here")

    async def inside(name: str) -> str:
        _place.set(name)
        await double(1)
        return _place.get()

    before = _place.get()
    return [before, *await asyncio.gather(inside("a"), inside("b")), _place.get()]


@SHARING.gives([4, "also 4"])
async def future_set_by_another_task() -> list[object]:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[str] = []
    answer.add_done_callback(lambda done: seen.append(f"also {done.result()}"))

    async def set_it() -> None:
        answer.set_result(await double(2))

    task = asyncio.create_task(set_it())
    result = await answer
    await task
    return [result, *seen]


@SHARING.gives(["soon", "later"])
async def call_later() -> list[str]:
    loop, seen, done = asyncio.get_running_loop(), list[str](), asyncio.Event()

    def last() -> None:
        seen.append("later")
        done.set()

    loop.call_later(0.01, last)
    loop.call_later(NEVER, seen.append, "never").cancel()
    loop.call_soon(seen.append, "soon")
    await done.wait()
    return seen
