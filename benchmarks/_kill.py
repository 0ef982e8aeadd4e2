"""SIGKILL: how soon work goes on, and that nothing is lost that somebody was told."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from _numbers import Number, spread
from _python import kill, python_process, wait_until
from _told import read_told, told_data
from _worker import Orders
from _worker_process import marks_when, worker_process
from _workflows import DATA, marked_chain

import perdure

if TYPE_CHECKING:
    from _plan import Bench
    from _told import Told

SEED = 2026
RESULTS_MIN = 20
RESULTS_PER_SECOND = 200


async def recovery(bench: Bench) -> list[Number]:
    """Kill a worker in the middle of a chain, and start another one; several times."""
    times = [await _recover(bench, number) for number in range(bench.size.recoveries)]
    return spread("restart to first new step", times, "s")


async def _recover(bench: Bench, number: int) -> float:
    url, marks = bench.url(f"hub-{number}"), bench.folder / f"marks-{number}"
    async with perdure.connect(url) as hub:
        await hub.start(marked_chain(bench.size.chain, DATA), id="chain")
    orders = Orders(url=url, lease_seconds=bench.size.lease_seconds)
    with worker_process(orders, marks) as worker:
        middle = bench.size.chain // 3
        found = await marks_when(marks, lambda found: any(mark.count >= middle for mark in found), worker)
        kill(worker)
    killed = {mark.process for mark in found}
    began = time.monotonic()
    with worker_process(orders, marks) as worker:
        found = await marks_when(marks, lambda found: any(mark.process not in killed for mark in found), worker)
    return next(mark.seconds for mark in found if mark.process not in killed) - began


async def acknowledged(bench: Bench) -> list[Number]:
    """Kill processes in the middle of W1 and look, with a fresh client, for everything that they were told.

    Raises:
        AssertionError: Something is not there. Nothing is worse: do not release.
    """
    rng = random.Random(SEED)
    told = [await _kill_one(bench, number, _some_results(bench, rng)) for number in range(bench.size.kills)]
    lost = [await _find_lost(bench.url(f"hub-{number}"), each) for number, each in enumerate(told)]
    if any(lost):
        raise AssertionError(f"Acknowledged, and not in the hub after SIGKILL: {lost}")
    return [
        Number("lost", sum(map(len, lost)), "instances"),
        Number("results acknowledged", sum(len(each.ended) for each in told), "instances"),
        Number("starts acknowledged", sum(len(each.started) for each in told), "instances"),
        Number("kills", bench.size.kills, "times"),
    ]


def _some_results(bench: Bench, rng: random.Random) -> int:
    return RESULTS_MIN + rng.randrange(1 + int(bench.size.seconds * RESULTS_PER_SECOND))


async def _kill_one(bench: Bench, number: int, enough: int) -> Told:
    """Run W1 in a process until it was told so many results, kill it, and give everything that it was told."""
    told_file = bench.folder / f"told-{number}"
    with python_process("_told.py", bench.url(f"hub-{number}"), str(told_file)) as process:
        await wait_until(lambda: len(read_told(told_file).ended) >= enough, process)
    return read_told(told_file)


async def _find_lost(url: str, told: Told) -> set[str]:
    """Find the instances that are not there, or without the result that was told."""
    async with perdure.connect(url) as hub:
        statuses = {summary.key: summary.status async for summary in hub.list()}
        lost = {each for each in told.started if each not in statuses}
        for each in told.ended:
            ended = statuses.get(each) == "Completed"
            if not ended or await (await hub.get(each)).result(timeout_seconds=1) != told_data(each):
                lost.add(each)
    return lost
