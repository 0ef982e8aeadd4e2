"""Python processes that run a file of this folder, and end when they are no longer wanted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LIMIT_SECONDS = 300.0
"""How long to wait for what another process should do. Slow is no failure; hanging is one."""

LOOK_SECONDS = 0.01


def command(program: str, *arguments: str) -> list[str]:
    """Make the command that runs a file of this folder."""
    return [sys.executable, str(Path(__file__).with_name(program)), *arguments]


def environment(**more: str) -> dict[str, str]:
    """Make the environment of a child: none of the caller's settings, and hashing that is the same in each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    return {**kept, "PYTHONHASHSEED": "0", **more}


def with_bytecode(folder: Path) -> dict[str, str]:
    """Make variables with which Python keeps what it has compiled, as it does where nobody forbids it.

    Without, every start compiles everything again, which takes longer than the start.

    Args:
        folder: Where to keep it, if the caller's environment forbids the usual place.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


@contextmanager
def python_process(program: str, *arguments: str, **variables: str) -> Generator[subprocess.Popen[bytes]]:
    """Have a process, from here until it is killed when the body ends.

    Args:
        program: File of this folder.
        arguments: Its command line.
        variables: Of its environment, besides `environment()`.
    """
    process = subprocess.Popen(command(program, *arguments), env=environment(**variables), stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process with SIGKILL, and come back when it is gone."""
    process.kill()
    process.wait()


async def wait_until(holds: Callable[[], bool], *processes: subprocess.Popen[bytes]) -> None:
    """Wait for what processes do.

    Args:
        holds: Tells whether it is done.
        processes: Who does it.

    Raises:
        RuntimeError: One of them ended. Do: read what it wrote.
        TimeoutError: It takes too long.
    """
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():
            for process in processes:
                if process.poll() is not None:
                    raise RuntimeError(f"A process ended with status {process.returncode}; see what it wrote above.")
            await asyncio.sleep(LOOK_SECONDS)
