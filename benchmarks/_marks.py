"""Progress of worker processes, in a file that the measuring process reads. Nobody waits for anybody."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PERDURE_BENCHMARK_MARKS"
"""Environment variable that names the file."""

EVERY = 10
"""Steps between two marks of one process; the first step of a process is always marked."""


class Marks:
    """Writes the marks of this process, if the environment names a file for them."""

    def __init__(self) -> None:
        self._count = 0
        self._file: int | None = None

    def note(self) -> None:
        """Count one step that begins."""
        if self._count % EVERY == 0 and VARIABLE in os.environ:
            if self._file is None:
                self._file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._file, b"%d %d %d\n" % (os.getpid(), self._count, time.monotonic_ns()))
        self._count += 1


MARKS = Marks()


@dataclass(frozen=True, slots=True)
class Mark:
    """That a process began a step.

    Attributes:
        process: Its id.
        count: Steps that this process had begun before.
        seconds: When, by `time.monotonic()`, which all processes of a machine share.
    """

    process: int
    count: int
    seconds: float


def read_marks(path: Path) -> list[Mark]:
    """Read all marks so far, in the order of writing."""
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]  # the last line may be half written
    fields = [line.split() for line in whole.splitlines()]
    return [Mark(int(process), int(count), int(nanoseconds) / 1e9) for process, count, nanoseconds in fields]
