"""Board: worker processes write down what they are in the middle of, in memory that outlives them.

One row per process. A killed process leaves its row as it was, so what a kill has hit is read afterwards, not guessed
before. A trap holds a process at one point, so that a kill can be aimed: it blocks there until it is killed or let go.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ROWS = 4096
COLUMNS = 16
LOOK_AGAIN_SECONDS = 0.001


class Phase(IntEnum):
    """What a process can be in the middle of, and where a trap can hold it. The number is a column."""

    TURN = 0
    """Code runs, and its turn is not committed. Trap: before the code runs."""
    COMMIT = 1
    """A turn was handed to the committer, which has not answered. Trap: before it is handed over."""
    TRANSACTION = 2
    """The provider holds a lock, or waits for it. Trap: all is written, and not committed. Only with a probe."""
    COMMITTED = 3
    """A turn is committed, and the worker does not know it yet. Trap: there."""
    ACTIVITY = 4
    """An activity runs. Trap: it has begun, and had no effect."""
    RECORDING = 5
    """An activity has had its effect, and its outcome is not recorded. Trap: there."""
    APPENDED = 6
    """The record of a turn is there, and nothing else of its Step. Trap: there. Only where a Step is not atomic."""
    SENDING = 7
    """Its sub-orchestrations are there too, the messages are not. Trap: there. Only where a Step is not atomic."""
    SENT = 8
    """The messages are there too, and the inputs still as well. Trap: there. Only where a Step is not atomic."""


_TRAP, _CAUGHT, _COMMITS, _READY = 10, 11, 12, 13


class Row:
    """What one process says of itself."""

    def __init__(self, cells: memoryview, number: int) -> None:
        self.number = number
        self._cells = cells[number * COLUMNS : (number + 1) * COLUMNS]
        self._lock = threading.Lock()  # activities run in threads too

    @contextmanager
    def during(self, phase: Phase) -> Generator[None]:
        """Be in a phase."""
        self.enter(phase)
        try:
            yield
        finally:
            self.leave(phase)

    def enter(self, phase: Phase) -> None:
        """Begin a phase; several may be under way, each several times."""
        with self._lock:
            self._cells[phase] += 1

    def leave(self, phase: Phase) -> None:
        """End a phase."""
        with self._lock:
            self._cells[phase] -= 1

    def pass_by(self, phase: Phase) -> None:
        """Be held here if a trap is set for this phase."""
        if self._cells[_TRAP] == phase + 1:
            self._cells[_CAUGHT] = phase + 1
            while self._cells[_TRAP] == phase + 1:
                time.sleep(LOOK_AGAIN_SECONDS)
            self._cells[_CAUGHT] = 0

    def set_trap(self, phase: Phase | None) -> None:
        """Hold the process the next time it comes by; None lets it go on."""
        self._cells[_TRAP] = 0 if phase is None else phase + 1

    def count(self, phase: Phase) -> int:
        """Tell how often the process is in a phase."""
        return self._cells[phase]

    @property
    def caught_at(self) -> Phase | None:
        """Which trap holds the process, if one does."""
        caught = self._cells[_CAUGHT]
        return Phase(caught - 1) if caught else None

    @property
    def commits(self) -> int:
        """How many turns this process has committed."""
        return self._cells[_COMMITS]

    def note_commit(self) -> None:
        """Count one more."""
        self._cells[_COMMITS] += 1

    @property
    def is_ready(self) -> bool:
        """Whether the process works."""
        return self._cells[_READY] != 0

    def note_ready(self) -> None:
        """Say that the process works from now on."""
        self._cells[_READY] = 1

    def close(self) -> None:
        """Let go of the memory."""
        self._cells.release()


class Board:
    """The rows of all worker processes of one hub, in a file that each maps."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, ROWS * COLUMNS * 4)
            self._map = mmap.mmap(file, ROWS * COLUMNS * 4)
        finally:
            os.close(file)
        self._cells = memoryview(self._map).cast("I")
        self._rows: dict[int, Row] = {}

    def row(self, number: int) -> Row:
        """Give a row, 0 to `ROWS` - 1."""
        if number not in self._rows:
            self._rows[number] = Row(self._cells, number)
        return self._rows[number]

    def close(self) -> None:
        """Let go of the file."""
        for row in self._rows.values():
            row.close()
        self._cells.release()
        self._map.close()
