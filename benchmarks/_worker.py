"""A worker in a process of its own: `_worker.py SETTINGS` works until it is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
from _workflows import DEFINITIONS, SETTINGS

import perdure

LOOK_SECONDS = 0.002


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is to do; its command line, as JSON.

    Attributes:
        url: Of the hub.
        cache_instances: Most live orchestrations that it keeps.
        lease_seconds: How long others wait after it has died.
        gate: Folder in which it says that it is ready, and waits for a file `open` before it works; empty: it works at
            once.
    """

    url: str
    cache_instances: int = SETTINGS.cache_instances
    lease_seconds: float = SETTINGS.lease_seconds
    gate: str = ""


async def work(orders: Orders) -> None:
    """Work until the process is killed."""
    settings = replace(SETTINGS, cache_instances=orders.cache_instances, lease_seconds=orders.lease_seconds)
    async with perdure.connect(orders.url) as hub:
        if orders.gate:
            await _stand_at(Path(orders.gate))
        async with hub.worker(*DEFINITIONS, settings=settings):
            await asyncio.Event().wait()


async def _stand_at(gate: Path) -> None:
    (gate / f"ready-{os.getpid()}").touch()
    while not (gate / "open").exists():  # noqa: ASYNC110 - nothing wakes a process that waits for a file
        await asyncio.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    asyncio.run(work(msgspec.json.decode(sys.argv[1], type=Orders)))
