"""Memory of a worker process that does nothing else: after W1, and with many instances that wait."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from _memory import resident_bytes
from _numbers import Number, spread
from _steady import Load, keep_open, start_to_result
from _worker import Orders
from _worker_process import worker_process
from _workflows import DATA, STEPS, five_steps, go, waiter

import perdure

if TYPE_CHECKING:
    from _plan import Bench

CACHE_INSTANCES = 100
"""Of the worker whose instances wait: small, so that nearly all of them are beyond the cache."""

WOKEN = 50
"""Waiting instances that are sent an event, one at a time."""

AT_ONCE = 100


async def memory(bench: Bench) -> list[Number]:
    """Run W1 with 50 open on a worker in a process of its own, and look at that process."""
    load = Load(min(50, bench.size.open_max), bench.size.seconds)
    with worker_process(Orders(url=bench.url()), bench.folder / "marks") as worker:
        async with perdure.connect(bench.url()) as hub:
            idle = await _after_first_result(hub, worker.pid)
            window, run_count = await keep_open(load, lambda number: start_to_result(hub, five_steps, f"w1-{number}"))
        after = resident_bytes(worker.pid)
    return [
        Number("worker after W1", after / 2**20, "MiB"),
        Number("worker after its first workflow", idle / 2**20, "MiB"),
        Number("workflows", run_count, "workflows"),
        Number("throughput, client in another process", window.per_second * STEPS, "steps/s"),
    ]


async def _after_first_result(hub: perdure.Hub, process: int) -> int:
    await start_to_result(hub, five_steps, "first")
    return resident_bytes(process)


async def waiting(bench: Bench) -> list[Number]:
    """Let instances wait for an event: first some, to have the cache full, then many; then wake a few."""
    some = max(1, bench.size.waiting // 5)
    orders = Orders(url=bench.url(), cache_instances=CACHE_INSTANCES)
    with worker_process(orders, bench.folder / "marks") as worker:
        async with perdure.connect(bench.url()) as hub:
            await _start_waiting(hub, range(some))
            before = resident_bytes(worker.pid)
            began = perf_counter()
            await _start_waiting(hub, range(some, bench.size.waiting))
            seconds = perf_counter() - began
            after = resident_bytes(worker.pid)
            wakes = [await _wake(hub, number) for number in range(min(WOKEN, some))]
    more = bench.size.waiting - some
    numbers = [
        Number("per instance beyond the cache", (after - before) / more, "bytes"),
        Number("worker in all", after / 2**20, "MiB"),
        Number("instances", bench.size.waiting, "instances"),
        Number("cache", CACHE_INSTANCES, "instances"),
        Number("begun", more / seconds, "instances/s"),
        *spread("wake to result", [wake * 1_000 for wake in wakes], "ms"),
    ]
    return [*numbers, Number("disk per instance", bench.disk_bytes() / bench.size.waiting, "bytes")]


async def _start_waiting(hub: perdure.Hub, numbers: range) -> None:
    """Start instances, and come back when each has had its first turn and waits."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def start(number: int) -> None:
        async with gate:
            await hub.start(waiter(DATA), id=f"waiting-{number}")

    await asyncio.gather(*map(start, numbers))
    while pending := [summary.key async for summary in hub.list(status=("Pending",), limit=1)]:
        await hub.changed(pending[0], await hub.history(pending[0]), wait_seconds=1)


async def _wake(hub: perdure.Hub, number: int) -> float:
    run = await hub.get(f"waiting-{number}")
    began = perf_counter()
    await run.send(go, 1)
    await run.result()
    return perf_counter() - began
