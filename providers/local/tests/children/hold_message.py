"""Receive a message and keep it; with a third argument, fork first. Arguments: folder, lease in seconds, any."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from hub import opened, say
from perdure_conformance.material import TASKS, ids_of

from perdure.spi import WorkerId


async def hold(folder: str, lease_seconds: float) -> None:
    async with opened(folder) as hub:
        found = await hub.queue.receive(
            TASKS, limit=1, lease_seconds=lease_seconds, wait_seconds=3600, worker=WorkerId("holder")
        )
        if len(sys.argv) > 3:
            forked = os.fork()
            if forked == 0:
                signal.pause()
            say(forked)
        say(*ids_of(found))
        signal.pause()


asyncio.run(hold(sys.argv[1], float(sys.argv[2])))
