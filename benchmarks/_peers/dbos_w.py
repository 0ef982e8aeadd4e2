"""DBOS Transact: one process, its SQLite backend in the current folder, settings as shipped.

It sets neither journal_mode nor synchronous: SQLite's own defaults hold, a rollback journal and synchronous = FULL.
`--variant def` writes workflows and steps as plain functions, each workflow in a thread; `--variant async` as
coroutines. A plain function cannot await steps in parallel, so it has no W3.
"""

# mypy: disable-error-code="untyped-decorator"
# (Where mypy runs, the peer is not installed.)

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dbos import DBOS  # type: ignore[import-not-found, unused-ignore]
from workloads import TEXT, System, main

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

THREADS_MAX = 1_000


@DBOS.step()
def step(text: str) -> str:
    """Do nothing."""
    return text


@DBOS.workflow()
def chain(text: str, steps: int) -> str:
    """Run steps one after another."""
    for _ in range(steps):
        text = step(text)
    return text


@DBOS.workflow()
def nap(text: str, seconds: float) -> str:
    """Sleep durably."""
    DBOS.sleep(seconds)
    return text


@DBOS.step()
async def step_async(text: str) -> str:
    """Do nothing."""
    return text


@DBOS.workflow()
async def chain_async(text: str, steps: int) -> str:
    """Run steps one after another."""
    for _ in range(steps):
        text = await step_async(text)
    return text


@DBOS.workflow()
async def fan_async(text: str, steps: int) -> int:
    """Run steps in parallel; the result is how many returned the text."""
    results = await asyncio.gather(*[step_async(text) for _ in range(steps)])
    return results.count(text)


@DBOS.workflow()
async def nap_async(text: str, seconds: float) -> str:
    """Sleep durably."""
    await DBOS.sleep_async(seconds)
    return text


@asynccontextmanager
async def open_coroutines() -> AsyncGenerator[System]:
    """Launch DBOS; workflows are awaited where they are called."""
    launch()
    try:
        yield System(
            lambda steps: chain_async(TEXT, steps),
            lambda steps: fan_async(TEXT, steps),
            lambda seconds: nap_async(TEXT, seconds),
            processes=(os.getpid(),),
        )
    finally:
        await asyncio.to_thread(DBOS.destroy)


@asynccontextmanager
async def open_functions() -> AsyncGenerator[System]:
    """Launch DBOS; each workflow is called in a thread, and returns its result there."""
    launch()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(THREADS_MAX) as threads:
        try:
            yield System(
                lambda steps: loop.run_in_executor(threads, chain, TEXT, steps),
                None,
                lambda seconds: loop.run_in_executor(threads, nap, TEXT, seconds),
                processes=(os.getpid(),),
            )
        finally:
            await asyncio.to_thread(DBOS.destroy)


def launch() -> None:
    """Open the database in the current folder, and start what DBOS runs in the background."""
    DBOS(config={"name": "peers", "system_database_url": "sqlite:///dbos.sqlite", "log_level": "ERROR"})
    DBOS.launch()


if __name__ == "__main__":
    main("dbos", {"def": open_functions, "async": open_coroutines})
