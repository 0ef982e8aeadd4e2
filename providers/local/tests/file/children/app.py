"""An application on `file:`: three activities in a row. Arguments: the hub's URL; where to die, or `nowhere`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import perdure
from perdure import activity, orchestration
from perdure_local import FileQueue, FileStore


@activity
async def add_one(number: int) -> int:
    return number + 1


@orchestration
async def count(start: int) -> int:
    for _ in range(3):
        start = await add_one(start)
    return start


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def plant(place: str, calls: int) -> None:
    """Make a call of the store or the queue kill this process, just before it or just after it."""
    name, _, when = place.partition("-")
    owner = FileStore if name == "append" else FileQueue
    original, counted = getattr(owner, name), [0]

    async def deadly(self: object, *arguments: object, **named: object) -> object:
        counted[0] += 1
        if counted[0] == calls and when == "before":
            die()
        answer = await original(self, *arguments, **named)
        if counted[0] == calls and when == "after":
            die()
        return answer

    setattr(owner, name, deadly)


async def main(url: str) -> None:
    async with perdure.connect(url) as hub, hub.worker(count, add_one):
        run = await hub.start(count(39), id="count-1", if_exists="return")
        sys.stdout.write(f"{await run.result(timeout_seconds=60)}\n")


if sys.argv[2] != "nowhere":
    plant(sys.argv[2], int(sys.argv[3]))
asyncio.run(main(sys.argv[1]))
