"""One, two and four worker processes on one hub."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from _marks import EVERY
from _numbers import Number
from _python import wait_until
from _waiting import AT_ONCE
from _worker import Orders
from _worker_process import marks_when, worker_process
from _workflows import DATA, STEPS, marked_chain

import perdure

if TYPE_CHECKING:
    from _plan import Bench

PART = 0.9
"""Of the backlog that counts: towards its end there is no longer work for all."""


async def processes(bench: Bench) -> list[Number]:
    """Work off a backlog of W1 workflows, with one, two and four processes, each time on a fresh hub.

    The workflows are started before: no client takes part in it.
    """
    rates = {count: await _work_off(bench, count) for count in (1, 2, 4)}
    numbers = [Number(f"throughput of {count}", rate, "steps/s") for count, rate in rates.items()]
    return [
        *numbers,
        Number("two ÷ one", rates[2] / rates[1], "ratio"),
        Number("four ÷ one", rates[4] / rates[1], "ratio"),
        Number("workflows", bench.size.backlog, "workflows"),
    ]


async def _work_off(bench: Bench, process_count: int) -> float:
    url = bench.url(f"hub-{process_count}")
    marks = bench.folder / f"marks-{process_count}"
    await _make_backlog(url, bench.size.backlog)
    gate = bench.folder / f"gate-{process_count}"
    gate.mkdir()
    orders = Orders(url=url, gate=str(gate))
    mark_count = int(bench.size.backlog * STEPS * PART / EVERY)
    with ExitStack() as workers:
        running = [workers.enter_context(worker_process(orders, marks)) for _ in range(process_count)]
        await wait_until(lambda: len(list(gate.glob("ready-*"))) == process_count, *running)
        began = time.monotonic()
        (gate / "open").touch()
        found = await marks_when(marks, lambda found: len(found) >= mark_count, *running)
    return mark_count * EVERY / (found[mark_count - 1].seconds - began)


async def _make_backlog(url: str, count: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    async with perdure.connect(url) as hub:

        async def start(number: int) -> None:
            async with gate:
                await hub.start(marked_chain(STEPS, DATA), id=f"backlog-{number}")

        await asyncio.gather(*map(start, range(count)))
