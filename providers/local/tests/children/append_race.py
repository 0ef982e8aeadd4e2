"""Race for the next version of a history, and say each one that was won. Arguments: folder, own name, last version."""

from __future__ import annotations

import asyncio
import sys

from hub import opened, say
from perdure_conformance.material import ORDER, addition, read_head

from perdure.spi import Committed


async def race(folder: str, name: str, last: int) -> None:
    async with opened(folder) as hub:
        say("ready")
        sys.stdin.readline()
        while (version := (await read_head(hub.store, ORDER, after=last)).version) < last:
            outcome = await hub.store.append(addition(ORDER, version, turn_id=f"{name}-{version + 1}"))
            if isinstance(outcome, Committed):
                say(outcome.version)


asyncio.run(race(sys.argv[1], sys.argv[2], int(sys.argv[3])))
