"""Idioms of waiting: for all, for the first, for so long, and no more."""

from __future__ import annotations

import asyncio
import contextlib

from perdure import ActivityError
from perdure_conformance.scenarios._battery import NEVER, Battery, slowly
from perdure_conformance.scenarios._samples import double, doubling, fail, number

__all__ = ["WAITING"]

WAITING = Battery()


@WAITING.gives([0, 2, 4, 6])
async def gather() -> list[int]:
    return await asyncio.gather(*(double(each) for each in range(4)))


@WAITING.gives(12)
async def task_group() -> int:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double(each)) for each in range(4)]
    return sum(task.result() for task in tasks)


@WAITING.gives(["1 failed", "m0 stopped", "m1 stopped"])
async def task_group_with_a_failure() -> list[str]:
    seen: list[str] = []

    async def member(name: str) -> None:
        try:
            await number()
        except asyncio.CancelledError:
            seen.append(f"{name} stopped")
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for each in range(2):
                group.create_task(member(f"m{each}"))
            group.create_task(fail("x"))
    except* ActivityError as failures:
        seen.append(f"{len(failures.exceptions)} failed")
    return sorted(seen)


@WAITING.gives([[0, 2], [20, 22]])
async def groups_in_groups() -> list[list[int]]:
    done: list[list[int]] = []

    async def inner(index: int) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(index * 10 + each)) for each in range(2)]
        done.append([task.result() for task in tasks])

    async with asyncio.TaskGroup() as outer:
        for index in range(2):
            outer.create_task(inner(index))
    return sorted(done)


@WAITING.gives(["2 in time", "late"])
async def timeout() -> list[str]:
    seen: list[str] = []
    async with asyncio.timeout(NEVER):
        seen.append(f"{await double(1)} in time")
    try:
        async with asyncio.timeout(0.01):
            await number()
    except TimeoutError:
        seen.append("late")
    return seen


@WAITING.gives("the inner one")
async def timeout_in_timeout() -> str:
    try:
        async with asyncio.timeout(NEVER):
            try:
                async with asyncio.timeout(0.01):
                    await number()
            except TimeoutError:
                return "the inner one"
    except TimeoutError:
        return "the outer one"
    return "none"


@WAITING.gives([True, False])
async def rescheduled_timeout() -> list[bool]:
    loop = asyncio.get_running_loop()
    scopes: list[asyncio.Timeout] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(NEVER) as scope:
            scopes.append(scope)
            scope.reschedule(loop.time() + 0.01)
            await number()
    async with asyncio.timeout(0.01) as scope:
        scopes.append(scope)
        scope.reschedule(None)
        await double(1)
    return [scope.expired() for scope in scopes]


@WAITING.gives([4, "late"])
async def wait_for() -> list[object]:
    seen: list[object] = [await asyncio.wait_for(double(2), NEVER)]
    try:
        await asyncio.wait_for(number(), 0.01)
    except TimeoutError:
        seen.append("late")
    return seen


@WAITING.gives(["late", 2])
async def wait_for_with_cleanup() -> list[object]:
    seen: list[object] = []

    async def cleaning_up() -> None:
        try:
            await number()
        finally:
            seen.append(await double(1))

    try:
        await asyncio.wait_for(cleaning_up(), 0.01)
    except TimeoutError:
        seen.insert(0, "late")
    return seen


@WAITING.gives([4, 0])
async def wait_for_all() -> list[int]:
    tasks = [asyncio.create_task(double(each)) for each in range(4)]
    done, pending = await asyncio.wait(tasks)
    return [len(done), len(pending)]


@WAITING.gives([8, True])
async def wait_for_the_first() -> list[object]:
    quick, never = asyncio.create_task(double(4)), asyncio.create_task(number())
    done, pending = await asyncio.wait([quick, never], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [*(task.result() for task in done), pending == {never}]


@WAITING.gives([True, True])
async def wait_for_the_first_exception() -> list[bool]:
    failing, never = asyncio.create_task(fail("x")), asyncio.create_task(number())
    done, pending = await asyncio.wait([failing, never], return_when=asyncio.FIRST_EXCEPTION)
    never.cancel()
    return [done == {failing}, isinstance(failing.exception(), ActivityError) and pending == {never}]


@WAITING.gives([True, False])
async def wait_with_a_timeout() -> list[bool]:
    quick, never = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(number())
    done, _ = await asyncio.wait([quick, never], timeout=0.02)
    never.cancel()
    return [task in done for task in (quick, never)]


@WAITING.gives([0, 1, 2, 3])
async def as_completed() -> list[int]:
    return sorted([await each for each in asyncio.as_completed([slowly(each) for each in (3, 1, 2, 0)])])


@WAITING.gives(["late"])
async def as_completed_until_late() -> list[str]:
    try:
        for each in asyncio.as_completed([number()], timeout=0.01):
            await each
    except TimeoutError:
        return ["late"]
    return []


@WAITING.gives([True, 4])
async def shield() -> list[object]:
    inner = asyncio.ensure_future(double(2))

    async def guard() -> int:
        return await asyncio.shield(inner)

    outer = asyncio.create_task(guard())
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([outer])
    return [outer.cancelled(), await inner]


@WAITING.gives(["asked to stop", "cleaned 2", "cancelled"])
async def cancelling_with_cleanup() -> list[str]:
    seen: list[str] = []

    async def worker() -> None:
        try:
            await number()
        except asyncio.CancelledError:
            seen.append("asked to stop")
            seen.append(f"cleaned {await double(1)}")
            raise

    task = asyncio.create_task(worker())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return [*seen, "cancelled" if task.cancelled() else "went on"]


@WAITING.gives("went on with 2")
async def refusing_to_be_cancelled() -> str:
    async def stubborn() -> str:
        try:
            await number()
        except asyncio.CancelledError:
            return f"went on with {await double(1)}"
        return "?"

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    task.cancel()
    return await task


@WAITING.gives([4, 6])
async def one_task_awaited_twice() -> list[int]:
    task = asyncio.create_task(double(2))

    async def plus(value: int) -> int:
        return await task + value

    return list(await asyncio.gather(plus(0), plus(2)))


@WAITING.gives(["t 0", "t 1"])
async def set_of_tasks() -> list[str]:
    """Sets of tasks must iterate in one order, or the commands that follow differ."""
    running = {asyncio.create_task(number(), name=f"t {each}") for each in range(2)}
    await asyncio.sleep(0)
    cancelled: list[str] = []
    for task in running:
        task.cancel()
        await double(1)
        cancelled.append(task.get_name())
    return sorted(cancelled)


@WAITING.gives([2, 4, 6])
async def activities_and_children_in_turn() -> list[int]:
    return [await double(1), await doubling(2), await double(3)]


@WAITING.gives(1_000)
async def loop_without_waiting() -> int:
    total = 0
    for _ in range(1_000):
        total += 1
        await asyncio.sleep(0) if total % 100 == 0 else None
    return total
