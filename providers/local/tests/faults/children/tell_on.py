"""Tell errands to a hub until stdin ends; say `ended N` for each, and `trouble` while the hub cannot write.

Arguments: URL of the hub, ledger, number of the first errand.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import story
from perdure_conformance.material import message

import perdure
from perdure.spi import QueueName

if TYPE_CHECKING:
    from collections.abc import Iterator


def say(word: object) -> None:
    """Tell the test something."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def probe(url: str) -> None:
    """Write something that nobody needs, again and again: others try in silence before they complain."""
    async with perdure.connect(url) as hub:
        while True:
            try:
                await hub._hub.queue.send([message(QueueName("tasks:probe"))])
            except (perdure.Unavailable, perdure.Unknown) as problem:
                say(f"trouble {problem}")
            await asyncio.sleep(0.1)


async def main(url: str, first: int) -> None:
    """Go on until there is something to read."""
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), is_over.set)

    def numbers() -> Iterator[int]:
        return itertools.takewhile(lambda _: not is_over.is_set(), itertools.count(first))

    probing = asyncio.create_task(probe(url))
    await story.tell(url, numbers(), lambda number: say(f"ended {number}"))
    probing.cancel()
    await asyncio.wait([probing])


logging.disable(logging.CRITICAL)
story.ledger = story.Ledger(Path(sys.argv[2]))
asyncio.run(main(sys.argv[1], int(sys.argv[3])))
