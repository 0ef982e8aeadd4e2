"""Commit a Step in a process that dies before its n-th statement, for each n to a last one; say how each ended.

Arguments: a folder for the hubs, the last n.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from hub import die, opened, say
from perdure_conformance.material import ORDER, TASKS, addition, begin, message
from perdure_conformance.material import child as child_of

from perdure.spi import Claim, Step, WorkerId


async def commit(folder: str, fatal: int) -> None:
    async with opened(folder) as hub:
        await begin(hub.store)
        await hub.queue.send([message(TASKS, "input")])
        (received,) = await hub.queue.receive(
            TASKS, limit=1, lease_seconds=60, wait_seconds=0, worker=WorkerId("dying")
        )
        numbers = itertools.count(1)
        hub.store.access.database.connection.set_trace_callback(lambda _: die() if next(numbers) == fatal else None)
        await hub.committer.commit(
            Step(
                append=addition(ORDER, 1),
                create=(child_of("child"),),
                send=(message(TASKS, "output"), message(TASKS, "claimed")),
                complete=(received,),
                claim=Claim(WorkerId("dying"), 60, frozenset(["claimed"])),
            )
        )
        hub.store.access.database.connection.set_trace_callback(None)


for fatal in range(1, int(sys.argv[2]) + 1):
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(commit(f"{sys.argv[1]}/hub-{fatal}", fatal))
            os._exit(0)
        finally:
            os._exit(1)
    say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
