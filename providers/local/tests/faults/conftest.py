"""Disks that are full, that fail, or that can be made to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILDREN = Path(__file__).parent / "children"

sys.path.insert(0, str(CHILDREN))

PATIENCE_SECONDS = 500
"""With a process: far more than any takes, however busy the machine is."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder whose disk can be made to fail, for processes that are started here.

    Attributes:
        folder: Put hubs into it.
        shim: The library that lets their calls fail.
    """

    folder: Path
    shim: Path

    @property
    def environment(self) -> dict[str, str]:
        """Give what a process needs to feel the faults."""
        return os.environ | {
            "LD_PRELOAD": str(self.shim),
            "FAULTS_FOLDER": os.path.realpath(self.folder),
            "FAULTS_CONTROL": str(self._control),
            "PYTHONHASHSEED": "0",
        }

    @property
    def _control(self) -> Path:
        return self.folder.parent / "failing"

    def fail(self, error: int, kinds: str) -> None:
        """Let all calls of these kinds fail from now on."""
        new = self._control.with_suffix(".new")
        new.write_text(f"{error} {kinds}\n")
        new.rename(self._control)

    def mend(self) -> None:
        """Work again."""
        self._control.unlink()

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        """Run a Python process to its end."""
        return subprocess.run(
            [sys.executable, *map(str, command)],
            env=self.environment,
            cwd=CHILDREN,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def start(self, *command: object) -> subprocess.Popen[str]:
        """Start a Python process that the test talks to."""
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=self.environment,
            cwd=CHILDREN,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library that lets calls fail."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no C compiler, or no LD_PRELOAD: calls cannot be made to fail")
    built = tmp_path_factory.mktemp("shim") / "failing_disk.so"
    source = CHILDREN / "failing_disk.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


@pytest.fixture
def disk(tmp_path: Path, shim: Path) -> Disk:
    """Give a disk that fails when it is told to."""
    (tmp_path / "disk").mkdir(mode=0o700)
    return Disk(tmp_path / "disk", shim)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
