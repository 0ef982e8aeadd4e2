"""Folders of somebody who tests a backend, and the pytest that they start in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_SECONDS = 100

SETTINGS = """\
[pytest]
asyncio_default_fixture_loop_scope = function
"""

HEAD = """
    import msgspec
    import pytest
    from perdure.memory import MemoryQueue, MemoryStore
    from perdure.spi import Committed, Environment, Location
    from perdure.testing import ManualClock, SeededEntropy
    from perdure_conformance import CommitterContract, Contract, Harness, HistoryStoreContract, WorkQueueContract

    class Mine(Harness):
        time_is_virtual = True

        def __init__(self, folder):
            super().__init__(folder)
            self.clock = ManualClock()
            self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
            self.location = Location(url="memory:x", scheme="memory", path=str(folder), options={})

        def make_store(self):
            return MemoryStore(self.location, self.environment)

        def make_queue(self):
            return MemoryQueue(self.location, self.environment)

        async def let_time_pass(self, seconds):
            await self.clock.advance(seconds)
"""


@dataclass(frozen=True)
class Run:
    """What a run of pytest left."""

    code: int
    out: str
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "out" / "report.json").read_text("utf-8"))
        return content

    def clause(self, number: str, backend: int = 0) -> dict[str, Any]:
        (found,) = [clause for clause in self.report["backends"][backend]["clauses"] if clause["id"] == number]
        return found


@dataclass(frozen=True)
class Author:
    """Somebody with a folder of tests."""

    folder: Path

    def run(self, tests: str, *arguments: str) -> Run:
        """Run pytest on a file with the harness `Mine` and these tests."""
        source = textwrap.dedent(HEAD) + textwrap.dedent(tests)
        (self.folder / "test_mine.py").write_text(source, "utf-8")
        (self.folder / "pytest.ini").write_text(SETTINGS, "utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        # Named plugins only: the others take longer to begin than these tests take.
        plugins = ("-p", "asyncio", "-p", "perdure")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, "--perdure-report=out", *arguments],
            cwd=self.folder,
            env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return Run(done.returncode, done.stdout, self.folder)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    """Begin in an empty folder."""
    return Author(tmp_path)
