"""One measurement in a process of its own: `_child.py TASK RESULT`, both files of JSON."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from _measurements import MEASUREMENTS
from _plan import Bench, Task

if TYPE_CHECKING:
    from _numbers import Number


async def measure(task: Task) -> list[Number]:
    """Do it here."""
    bench = Bench(task.scheme, Path(task.folder), task.size)
    return await MEASUREMENTS[task.measurement].run(bench)


def main(task_file: str, result_file: str) -> None:
    """Do what the one file says, and write the numbers into the other."""
    task = msgspec.json.decode(Path(task_file).read_bytes(), type=Task)
    numbers = asyncio.run(measure(task))
    Path(result_file).write_bytes(msgspec.json.encode(numbers))


if __name__ == "__main__":
    main(*sys.argv[1:])
