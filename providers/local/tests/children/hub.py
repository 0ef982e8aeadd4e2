"""What the scripts beside this file share."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from perdure_conformance import Backend

from perdure.spi import Environment, Location, SystemClock, SystemEntropy
from perdure_local import SqliteCommitter, SqliteQueue, SqliteStore

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator


class PatientClock(SystemClock):
    """Waits for the event, however long: whoever is woken late is not woken at all."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if seconds > 0:
            await event.wait()
        return event.is_set()


@asynccontextmanager
async def opened(folder: str, clock: SystemClock | None = None) -> AsyncIterator[Backend]:
    """Open the hub in a folder."""
    environment = Environment(clock or SystemClock(), SystemEntropy())
    location = Location(url=f"sqlite:{folder}", scheme="sqlite", path=folder, options={})
    store, queue = SqliteStore(location, environment), SqliteQueue(location, environment)
    await store.open()
    await queue.open()
    try:
        yield Backend(store, queue, SqliteCommitter(store, queue, environment))
    finally:
        await queue.aclose()
        await store.aclose()


def say(word: object) -> None:
    """Tell the test something."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def die() -> None:
    """Die as by the power switch: nothing is cleaned up."""
    os.kill(os.getpid(), 9)
