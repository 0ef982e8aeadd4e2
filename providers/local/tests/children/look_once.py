"""Open a hub, read one history, and close it. Argument: folder."""

from __future__ import annotations

import asyncio
import sys

from hub import opened, say
from perdure_conformance.material import ORDER


async def look(folder: str) -> None:
    async with opened(folder) as hub:
        say(type(await hub.store.read(ORDER)).__name__)


asyncio.run(look(sys.argv[1]))
