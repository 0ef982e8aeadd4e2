"""Append to one history until killed, and say each version that was answered. Argument: folder."""

from __future__ import annotations

import asyncio
import itertools
import sys

from hub import opened, say
from perdure_conformance.material import ORDER, addition, begin


async def append(folder: str) -> None:
    async with opened(folder) as hub:
        say(await begin(hub.store))
        for expected in itertools.count(1):
            await hub.store.append(addition(ORDER, expected))
            say(expected + 1)


asyncio.run(append(sys.argv[1]))
