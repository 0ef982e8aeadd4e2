"""Work in a forked child: it has everything loaded, and whatever it breaks ends with it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    import pytest

__all__ = ["Child", "start"]


class Child:
    """A forked child and what it says, line by line.

    Attributes:
        pid: Of the process, and of its group.
    """

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe
        self._buffer = b""

    def read(self, seconds: float) -> str | None:
        """Wait for the next line; None if it has ended or nothing came for so long."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))
            new = os.read(self._pipe, 65536) if ready else b""
            if not new:
                return None
            self._buffer += new
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def end(self) -> None:
        """Kill it with everything that it started, and wait until it is gone."""
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._pipe)


@contextmanager
def start(config: pytest.Config, work: Callable[[], Iterator[str]]) -> Generator[Child]:
    """Do work in a child that has files of its own, for as long as somebody listens.

    Args:
        config: The session's.
        work: Yields lines; they are read by the parent.
    """
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _do(config, folder, writing, work)
    os.close(writing)
    child = Child(pid, reading)
    try:
        yield child
    finally:
        child.end()
        shutil.rmtree(folder, ignore_errors=True)


def _do(config: pytest.Config, folder: Path, pipe: int, work: Callable[[], Iterator[str]]) -> None:
    """Be the child: never return, whatever happens, or it would go on as a second parent."""
    code = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for file in (0, 1, 2):
            os.dup2(nothing, file)
        config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]  # noqa: SLF001 - the parent's otherwise
        for line in work():
            os.write(pipe, line.encode() + b"\n")
        code = 0
    except BaseException:  # noqa: BLE001 - it is told, and this process ends
        os.write(pipe, b"broken " + repr(traceback.format_exc()).encode() + b"\n")
    finally:
        os._exit(code)
