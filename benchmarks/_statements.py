"""What SQLite is asked to do for a step. Counting slows it down: a run of its own, that times nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from _numbers import Number
from _steady import hub_with_worker, start_to_result
from _workflows import STEPS, five_steps

if TYPE_CHECKING:
    from collections.abc import Generator

    from _plan import Bench, Size

    import perdure


class Counter:
    """Counts the statements of every connection that is opened while it looks."""

    def __init__(self) -> None:
        self.connections: list[sqlite3.Connection] = []
        self.statement_count = 0
        self.commit_count = 0

    def note(self, statement: str) -> None:
        """Count one."""
        self.statement_count += 1
        self.commit_count += statement == "COMMIT"

    def pragma(self, name: str) -> int | str:
        """Ask the connection that is in use, not one that would have its own answer."""
        (connection,) = self.connections
        answer: int | str = connection.execute(f"PRAGMA {name}").fetchone()[0]
        return answer


@contextmanager
def counting() -> Generator[Counter]:
    """Look at every connection that is opened in the body, whoever opens it."""
    counter = Counter()
    connect = sqlite3.connect

    def connect_and_look(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(counter.note)
        counter.connections.append(connection)
        return connection

    sqlite3.connect = connect_and_look  # type: ignore[assignment]
    try:
        yield counter
    finally:
        sqlite3.connect = connect


async def statements(bench: Bench) -> list[Number]:
    """Run a few W1 workflows with 1, 50 and 512 open, and count."""
    with counting() as counter:
        async with hub_with_worker(bench.url()) as hub:
            numbers = [
                # A setting of the connection, not of the file: only the one that writes can tell.
                Number("PRAGMA synchronous", float(counter.pragma("synchronous")), "(FULL = 2)"),
                Number("PRAGMA journal_mode is WAL", float(counter.pragma("journal_mode") == "wal"), "(yes = 1)"),
            ]
            for open_count in (1, 50, 512):
                numbers += await _count(hub, counter, open_count, bench.size)
    return numbers


async def _count(hub: perdure.Hub, counter: Counter, open_count: int, size: Size) -> list[Number]:
    gate = asyncio.Semaphore(min(open_count, size.open_max))

    async def one(number: int) -> None:
        async with gate:
            await start_to_result(hub, five_steps, f"counted-{open_count}-{number}")

    statement_count, commit_count, began = counter.statement_count, counter.commit_count, perf_counter()
    await asyncio.gather(*map(one, range(size.counted)))
    statement_count, commit_count = counter.statement_count - statement_count, counter.commit_count - commit_count
    step_count = size.counted * STEPS
    return [
        Number(f"statements per step, {open_count} open", statement_count / step_count, "statements"),
        Number(f"commits per step, {open_count} open", commit_count / step_count, "commits"),
        Number(f"commits while counting, {open_count} open", commit_count / (perf_counter() - began), "commits/s"),
    ]
