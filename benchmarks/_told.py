"""W1 in a process that is going to be killed: `_told.py URL FILE` writes down what it was told, once it was told."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from _steady import Load, hub_with_worker, keep_open
from _workflows import DATA, five_steps

if TYPE_CHECKING:
    from pathlib import Path

OPEN_COUNT = 50


@dataclass(frozen=True, slots=True)
class Told:
    """What a process was told.

    Attributes:
        started: Instances whose `start` returned.
        ended: Instances whose `result` returned.
    """

    started: list[str]
    ended: list[str]


def read_told(file: Path) -> Told:
    """Read what a process has written down so far."""
    text = file.read_text("ascii") if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # the last line may be half written
    lines = [line.split() for line in whole.splitlines()]
    return Told([each for what, each in lines if what == "started"], [each for what, each in lines if what == "ended"])


def told_data(instance: str) -> bytes:
    """Give the input, and so the result, of one instance: no two have the same."""
    return instance.encode().ljust(len(DATA), b".")


async def main(url: str, file: str) -> None:
    """Run W1 until the process is killed."""
    told = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with hub_with_worker(url) as hub:

        async def one(number: int) -> None:
            instance = f"told-{number}"
            run = await hub.start(five_steps(told_data(instance)), id=instance)
            os.write(told, f"started {instance}\n".encode())
            if await run.result() != told_data(instance):
                raise AssertionError(f"{instance} has the result of another one.")
            os.write(told, f"ended {instance}\n".encode())

        await keep_open(Load(OPEN_COUNT, seconds=float("inf")), one)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
