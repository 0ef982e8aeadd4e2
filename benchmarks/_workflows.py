"""What is run: the orchestrations of the workloads, over a step that does nothing but return its input."""

import asyncio
from time import perf_counter

from _marks import MARKS

from perdure import Event, WorkerSettings, activity, orchestration

DATA = b"x" * 100
"""Input and result of every step."""

STEPS = 5
"""Of one workflow of W1."""

SETTINGS = WorkerSettings(activities_max=1024, turns_max=1024)
"""More room than the most that is ever open (512), so that the limits of a worker are not what is measured."""

go: Event[int] = Event("go")

step_times: list[float] = []
"""When each `timed_step` of this process began, by `perf_counter`."""


@activity
async def step(data: bytes) -> bytes:
    """Do nothing."""
    return data


@activity
async def timed_step(data: bytes) -> bytes:
    """Do nothing, and let this process know when."""
    step_times.append(perf_counter())
    return data


@activity
async def marked_step(data: bytes) -> bytes:
    """Do nothing, and let other processes know when."""
    MARKS.note()
    return data


@orchestration
async def one_step(data: bytes) -> bytes:
    """W2."""
    return await step(data)


@orchestration
async def five_steps(data: bytes) -> bytes:
    """W1, and W2."""
    for _ in range(STEPS):
        data = await step(data)
    return data


@orchestration
async def parallel(count: int, data: bytes) -> int:
    """W3: so many steps at once."""
    return len(await asyncio.gather(*[step(data) for _ in range(count)]))


@orchestration
async def chain(count: int, data: bytes) -> bytes:
    """W4: so many steps, one after the other."""
    for _ in range(count):
        data = await step(data)
    return data


@orchestration
async def timed_chain(count: int, data: bytes) -> bytes:
    """W4 with progress that this process can see."""
    for _ in range(count):
        data = await timed_step(data)
    return data


@orchestration
async def paused_chain(before: int, after: int, data: bytes) -> bytes:
    """Steps, a pause until `go`, and steps again."""
    for _ in range(before):
        data = await timed_step(data)
    await go()
    for _ in range(after):
        data = await timed_step(data)
    return data


@orchestration
async def marked_chain(count: int, data: bytes) -> bytes:
    """W4 with progress that other processes can see."""
    for _ in range(count):
        data = await marked_step(data)
    return data


@orchestration
async def sleeper(seconds: float) -> float:
    """W6: a durable sleep."""
    await asyncio.sleep(seconds)
    return seconds


@orchestration
async def waiter(data: bytes) -> bytes:
    """Wait for `go`, for as long as it takes."""
    await go()
    return data


DEFINITIONS = (
    step,
    timed_step,
    marked_step,
    one_step,
    five_steps,
    parallel,
    chain,
    timed_chain,
    paused_chain,
    marked_chain,
    sleeper,
    waiter,
)
