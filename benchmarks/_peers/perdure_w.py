"""Perdure: one process, `sqlite:` in the current folder, settings as shipped (write-ahead log, synchronous = FULL)."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from workloads import TEXT, System, main

import perdure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@perdure.activity
async def step(text: str) -> str:
    """Do nothing."""
    return text


@perdure.orchestration
async def chain(text: str, steps: int) -> str:
    """Run steps one after another."""
    for _ in range(steps):
        text = await step(text)
    return text


@perdure.orchestration
async def fan(text: str, steps: int) -> int:
    """Run steps in parallel; the result is how many returned the text."""
    results = await asyncio.gather(*[step(text) for _ in range(steps)])
    return results.count(text)


@perdure.orchestration
async def nap(text: str, seconds: float) -> str:
    """Sleep durably."""
    await asyncio.sleep(seconds)
    return text


@asynccontextmanager
async def open_system() -> AsyncGenerator[System]:
    """Open a hub, with a worker beside the driver."""
    settings = perdure.Settings(hub="sqlite:hub")  # whatever a perdure.toml above the current folder says
    async with perdure.connect(settings=settings) as hub, hub.worker(step, chain, fan, nap):

        async def run_chain(steps: int) -> str:
            return await (await hub.start(chain(TEXT, steps))).result()

        async def run_fan(steps: int) -> int:
            return await (await hub.start(fan(TEXT, steps))).result()

        async def run_nap(seconds: float) -> str:
            return await (await hub.start(nap(TEXT, seconds))).result()

        yield System(run_chain, run_fan, run_nap, processes=(os.getpid(),))


if __name__ == "__main__":
    main("perdure", {"async": open_system})
