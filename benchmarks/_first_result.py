"""W5: how long a person waits for the first result, from the start of Python on."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from _numbers import spread
from _python import command, environment, with_bytecode

if TYPE_CHECKING:
    from _numbers import Number
    from _plan import Bench


async def w5(bench: Bench) -> list[Number]:
    """Start a process in an empty folder, several times; the first one warms the file cache and does not count."""
    times = [await _start(bench, number) for number in range(bench.size.starts + 1)]
    return spread("time", times[1:], "s")


async def _start(bench: Bench, number: int) -> float:
    began = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command("_first.py", bench.url(f"hub-{number}")),
        env=environment(**with_bytecode(bench.folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    seconds = perf_counter() - began
    status = await process.wait()
    if line.strip() != b"done" or status:
        raise RuntimeError(f"The process printed {line!r} and ended with status {status}; see what it wrote above.")
    return seconds
