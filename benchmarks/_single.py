"""W3, W4 and W6, the large fan-out and the long chain: few workflows, each of many steps or long."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from _numbers import MICROSECONDS, Number, spread
from _steady import Load, hub_with_worker, keep_open
from _workflows import DATA, chain, go, parallel, paused_chain, sleeper, step_times, timed_chain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from _plan import Bench

    import perdure


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was done several times.

    Attributes:
        times: How long each took, in seconds.
        cpu_seconds: How long this process computed each time, on average; others on the machine change it little.
    """

    times: list[float]
    cpu_seconds: float


async def timed(work: Awaitable[object]) -> float:
    """Wait for something, and tell how many seconds that took."""
    began = perf_counter()
    await work
    return perf_counter() - began


async def repeat(seconds: float, work: Callable[[int], Awaitable[object]]) -> Repeated:
    """Do something again and again until so many seconds have passed, after once to warm up."""
    await work(-1)
    times: list[float] = []
    cpu_began = process_time()
    while sum(times) < seconds:
        times.append(await timed(work(len(times))))
    return Repeated(times, (process_time() - cpu_began) / len(times))


async def w3(bench: Bench) -> list[Number]:
    """Many steps of one workflow at once."""
    count = bench.size.parallel
    async with hub_with_worker(bench.url()) as hub:

        async def once(number: int) -> None:
            run = await hub.start(parallel(count, DATA), id=f"w3-{number}")
            await run.result()

        repeated = await repeat(bench.size.seconds, once)
    cpu = Number("CPU per step", repeated.cpu_seconds * 1e6 / count, MICROSECONDS)
    return [*spread("time", repeated.times, "s"), cpu, Number("steps", count, "steps")]


async def w4(bench: Bench) -> list[Number]:
    """Many steps of one workflow, one after the other."""
    count = bench.size.chain
    async with hub_with_worker(bench.url()) as hub:

        async def once(number: int) -> None:
            run = await hub.start(chain(count, DATA), id=f"w4-{number}")
            await run.result()

        repeated = await repeat(bench.size.seconds, once)
    cpu = Number("CPU per step", repeated.cpu_seconds * 1e6 / count, MICROSECONDS)
    rates = [count / time for time in repeated.times]
    return [*spread("throughput", rates, "steps/s"), cpu, Number("steps", count, "steps")]


async def chains(bench: Bench, open_count: int) -> list[Number]:
    """W4, in so many workflows at a time. Steps are counted, whether or not their workflow ends in time."""
    step_times.clear()
    load = Load(min(open_count, bench.size.open_max), seconds=math.inf)
    async with hub_with_worker(bench.url()) as hub:

        async def one(number: int) -> None:
            run = await hub.start(timed_chain(bench.size.chain, DATA), id=f"chain-{number}")
            await run.result()

        running = asyncio.create_task(keep_open(load, one))
        await _until_steps(load.open_count, running)
        began, before = perf_counter(), len(step_times)
        await asyncio.wait([running], timeout=bench.size.seconds)
        await _until_steps(before + load.open_count, running)
        rate = (len(step_times) - before) / (perf_counter() - began)
        running.cancel()
        await asyncio.wait([running])
    return [Number("throughput", rate, "steps/s"), Number("steps", len(step_times) - before, "steps")]


async def _until_steps(count: int, running: asyncio.Task[object]) -> None:
    """Wait until so many steps have begun; what fails meanwhile is raised."""
    while len(step_times) < count:
        await asyncio.wait([running], timeout=0.01)
        if running.done():
            running.result()


async def w6(bench: Bench) -> list[Number]:
    """Many workflows that sleep at the same time, from before the first start to after the last result."""
    count, seconds = bench.size.sleepers, bench.size.sleep_seconds
    async with hub_with_worker(bench.url()) as hub:

        async def one(id: str) -> None:
            run = await hub.start(sleeper(seconds), id=id)
            await run.result()

        async def once(number: int) -> None:
            await asyncio.gather(*[one(f"w6-{number}-{index}") for index in range(count)])

        repeated = await repeat(bench.size.seconds, once)
    cpu = Number("CPU per workflow", repeated.cpu_seconds * 1e6 / count, MICROSECONDS)
    numbers = [cpu, Number("workflows", count, "workflows"), Number("sleep", seconds, "s")]
    return [*spread("time", repeated.times, "s"), *numbers]


async def fan_out(bench: Bench) -> list[Number]:
    """Very many steps of one workflow at once, once."""
    count = bench.size.fan_out
    async with hub_with_worker(bench.url()) as hub:
        run = await hub.start(parallel(count, DATA), id="fan-out")
        seconds = await timed(run.result())
    return [
        Number("time", seconds, "s"),
        Number("throughput", count / seconds, "steps/s"),
        Number("steps", count, "steps"),
    ]


async def long_chain(bench: Bench) -> list[Number]:
    """Very many steps, one after the other; then the worker goes, and one that knows nothing continues."""
    size = bench.size
    step_times.clear()
    url = bench.url()
    async with hub_with_worker(url) as hub:
        run = await hub.start(paused_chain(size.long_chain, size.edge, DATA), id="chain")
        await _pause_of(hub, "chain", size.long_chain)
        first, last = edges(step_times, size.edge)
        numbers = [
            Number("first steps", first, "steps/s"),
            Number("last steps", last, "steps/s"),
            Number("last ÷ first", last / first, "ratio"),
            Number("steps", size.long_chain, "steps"),
        ]
        if bench.scheme == "memory":
            await run.send(go, 1)
            await run.result()
            return numbers
    return [*numbers, *await _continue_cold(url, size.edge)]


async def _continue_cold(url: str, edge: int) -> list[Number]:
    """Open the hub afresh and continue the chain: its whole history is replayed before its next step."""
    before = len(step_times)
    async with hub_with_worker(url) as hub:
        event_count = sum(1 for _ in (await hub.history("chain")).events())
        run = await hub.get("chain")
        began = perf_counter()
        await run.send(go, 1)
        await run.result()
    after = step_times[before:]
    return [
        Number("cold replay", event_count / (after[0] - began), "events/s"),
        Number("cold restart to next step", after[0] - began, "s"),
        Number("steps after it", edges(after, edge)[1], "steps/s"),
        Number("events", event_count, "events"),
    ]


def edges(times: Sequence[float], edge: int) -> tuple[float, float]:
    """Give steps per second over the first and over the last steps.

    Args:
        times: When each step began.
        edge: How many steps make an edge; at most as many as there are.
    """
    width = min(edge, len(times)) - 1
    return width / (times[width] - times[0]), width / (times[-1] - times[-1 - width])


async def _pause_of(hub: perdure.Hub, id: str, step_count: int) -> None:
    """Wait until the chain has begun all its steps and no record comes any more."""
    history = None
    while len(step_times) < step_count or await hub.changed(id, history, 0.5):
        history = await hub.history(id) if len(step_times) >= step_count else None
        await asyncio.sleep(0.05)
