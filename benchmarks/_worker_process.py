"""Worker processes, as those see them who measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from _marks import VARIABLE, read_marks
from _python import python_process, wait_until, with_bytecode

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from _marks import Mark
    from _worker import Orders


def worker_process(orders: Orders, marks: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Have a worker process for everything, until the body ends.

    Args:
        orders: What it is to do.
        marks: File that it adds its progress to.
    """
    variables = {VARIABLE: str(marks), **with_bytecode(marks.parent)}
    return python_process("_worker.py", msgspec.json.encode(orders).decode(), **variables)


async def marks_when(
    marks: Path, are_enough: Callable[[list[Mark]], bool], *workers: subprocess.Popen[bytes]
) -> list[Mark]:
    """Wait until the marks in a file are enough, and give them.

    Raises:
        RuntimeError: A worker ended. Do: read what it wrote.
        TimeoutError: It takes too long.
    """
    await wait_until(lambda: are_enough(read_marks(marks)), *workers)
    return read_marks(marks)
