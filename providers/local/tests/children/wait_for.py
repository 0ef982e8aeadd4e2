"""Wait without ever looking twice, and say what came. Arguments: folder, `message` or `change`."""

from __future__ import annotations

import asyncio
import sys

from hub import PatientClock, opened, say
from perdure_conformance.material import ORDER, TASKS, ids_of, read_head

from perdure.spi import WorkerId


async def wait(folder: str, what: str) -> None:
    async with opened(folder, PatientClock()) as hub:
        if what == "message":
            call = hub.queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=3600, worker=WorkerId("w"))
        else:
            call = hub.store.changed(ORDER, (await read_head(hub.store, ORDER)).token, 3600)
        waiting = asyncio.create_task(call)
        await asyncio.sleep(0)
        assert not waiting.done()
        say("waiting")
        found = await waiting
        say(found if isinstance(found, bool) else ids_of(found))


asyncio.run(wait(sys.argv[1], sys.argv[2]))
