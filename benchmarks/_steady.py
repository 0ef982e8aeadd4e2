"""W1 and W2: so many workflows are open at any time, for as long as is asked."""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from _memory import resident_bytes
from _numbers import MICROSECONDS, Number, quantile
from _workflows import DATA, DEFINITIONS, SETTINGS, STEPS, five_steps, one_step

import perdure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from _plan import Bench

    from perdure import Orchestration


@asynccontextmanager
async def hub_with_worker(url: str, settings: perdure.WorkerSettings = SETTINGS) -> AsyncGenerator[perdure.Hub]:
    """Open a hub with a worker for everything in this process."""
    async with perdure.connect(url) as hub, hub.worker(*DEFINITIONS, settings=settings):
        yield hub


@dataclass(frozen=True, slots=True)
class Load:
    """When the load has lasted long enough: all must hold.

    And a multiple of `open_count` must have ended. Those that were started together tend to end together, in waves as
    many as are open: a window over parts of waves would tell anything.

    Attributes:
        open_count: How many are open at any time.
        seconds: Of the window that counts.
        count_min: Ends in the window.
    """

    open_count: int
    seconds: float
    count_min: int = 1


class Window:
    """Counts what ends after the warm-up: once as many have ended as are open.

    Attributes:
        is_over: The load has lasted long enough: begin nothing new.
        latencies: Of those that count, from before the start to after the result, in seconds.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._warm_up_left = load.open_count
        self._begin = math.nan
        self._end = math.nan
        self._cpu_begin = math.nan
        self._cpu_end = math.nan
        self.is_over = False
        self.latencies: array[float] = array("d")

    @property
    def seconds(self) -> float:
        """How long the window was."""
        return self._end - self._begin

    @property
    def cpu_seconds(self) -> float:
        """How long this process computed in it, which others on the machine change little."""
        return self._cpu_end - self._cpu_begin

    @property
    def per_second(self) -> float:
        """How many ended in each of its seconds."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, percent: int) -> float:
        """Give a percentile of the latencies."""
        return quantile(self.latencies, percent) * 1_000

    def note(self, began: float, ended: float) -> None:
        """Take notice of one that has ended."""
        if self._warm_up_left:
            self._warm_up_left -= 1
            self._begin, self._cpu_begin = ended, process_time()
        elif not self.is_over:
            self.latencies.append(ended - began)
            self._end, self._cpu_end = ended, process_time()
            self.is_over = self._is_enough()

    def _is_enough(self) -> bool:
        count, load = len(self.latencies), self._load
        return self.seconds >= load.seconds and count >= load.count_min and count % load.open_count == 0


async def keep_open(load: Load, one: Callable[[int], Awaitable[object]]) -> tuple[Window, int]:
    """Run `one` again and again, so many at a time.

    Args:
        load: How many, and how long.
        one: Gets a number that no other call gets.

    Returns:
        The window, and how many were run in all.
    """
    window = Window(load)
    numbers = itertools.count()

    async def again() -> None:
        while not window.is_over:
            began = perf_counter()
            await one(next(numbers))
            window.note(began, perf_counter())

    async with asyncio.TaskGroup() as group:
        for _ in range(load.open_count):
            group.create_task(again())
    return window, next(numbers)


async def start_to_result(hub: perdure.Hub, definition: Orchestration[[bytes], bytes], id: str) -> None:
    """Run one workflow, and see that its result is what it must be."""
    run = await hub.start(definition(DATA), id=id)
    result = await run.result()
    if result != DATA:
        raise AssertionError(f"{id} gave {result!r}: a step must return what it got.")


async def w1(bench: Bench, open_count: int) -> list[Number]:
    """Five steps, one after the other, in so many workflows at a time."""
    count_min = bench.size.w1_workflows_min if open_count == OPEN_MOST else 1
    load = Load(min(open_count, bench.size.open_max), bench.size.seconds, count_min)
    return await _throughput(bench, load, five_steps, STEPS)


async def short(bench: Bench, open_count: int) -> list[Number]:
    """One step, in so many workflows at a time: most of the work is to begin and to end them."""
    load = Load(min(open_count, bench.size.open_max), bench.size.seconds)
    return await _throughput(bench, load, one_step, 1)


async def _throughput(
    bench: Bench, load: Load, definition: Orchestration[[bytes], bytes], step_count: int
) -> list[Number]:
    async with hub_with_worker(bench.url()) as hub:
        window, run_count = await keep_open(load, lambda number: start_to_result(hub, definition, f"open-{number}"))
        numbers = [
            Number("throughput", window.per_second * step_count, "steps/s"),
            Number("CPU per step", window.cpu_seconds * 1e6 / (len(window.latencies) * step_count), MICROSECONDS),
            Number("latency p50", window.milliseconds(50), "ms"),
            Number("latency p99", window.milliseconds(99), "ms"),
            Number("latency most", window.milliseconds(100), "ms"),
            Number("workflows", len(window.latencies), "workflows"),
            Number("window", window.seconds, "s"),
            Number("memory of worker and client", resident_bytes() / 2**20, "MiB"),
        ]
        if bench.scheme != "memory":
            numbers.append(Number("disk per step", bench.disk_bytes() / (run_count * step_count), "bytes"))
    return numbers


OPEN_MOST = 512


async def w2(bench: Bench) -> list[Number]:
    """One workflow at a time, from start to result: of one step, and of five."""
    load = Load(1, bench.size.seconds)
    async with hub_with_worker(bench.url()) as hub:
        one, _ = await keep_open(load, lambda number: start_to_result(hub, one_step, f"one-{number}"))
        five, _ = await keep_open(load, lambda number: start_to_result(hub, five_steps, f"five-{number}"))
    return [
        Number("one step p50", one.milliseconds(50), "ms"),
        Number("one step p99", one.milliseconds(99), "ms"),
        Number("one step most", one.milliseconds(100), "ms"),
        Number("five steps p50", five.milliseconds(50), "ms"),
        Number("five steps p99", five.milliseconds(99), "ms"),
        Number("five steps most", five.milliseconds(100), "ms"),
        Number("CPU per workflow of five steps", five.cpu_seconds * 1e3 / len(five.latencies), "ms"),
        Number("workflows", len(one.latencies) + len(five.latencies), "workflows"),
    ]
