"""Hubs in a folder, in this process and in others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

# pytest imports test modules by path, so that no folder is importable; the harnesses are, by name.
sys.path.insert(0, str(Path(__file__).parent))

from _harnesses import SqliteHarness

from perdure.spi import Environment
from perdure.testing import ManualClock
from perdure_local.sqlite import _database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from perdure_conformance import Harness

CHILDREN = Path(__file__).parent / "children"


class LocalHarness(SqliteHarness):
    """The same, for tests that wait for leases and delays of a second."""

    moment = 1.0


class VirtualHarness(LocalHarness):
    """The same in virtual time."""

    time_is_virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock(monotonic=1000)
        self.environment = Environment(self.clock, self.environment.entropy)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the hub of this test is, `hub` or as it is parametrized; not there yet."""
    return tmp_path / getattr(request, "param", "hub")


@pytest_asyncio.fixture
async def harness(folder: Path) -> AsyncIterator[Harness]:
    """Open stores and queues in the folder, in real time."""
    async with LocalHarness(folder) as opened:
        yield opened


@pytest_asyncio.fixture
async def virtual(folder: Path) -> AsyncIterator[Harness]:
    """Open stores and queues in the folder, in virtual time."""
    async with VirtualHarness(folder) as opened:
        yield opened


@pytest.fixture
def as_another_process() -> Callable[[], None]:
    """Call it, and what is opened next has a connection, a lock and a socket of its own, as in another process."""
    return _database._OPEN.clear


class Children:
    """Processes that this test started."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, script: str, *arguments: object) -> subprocess.Popen[str]:
        """Run a script of the folder `children`."""
        child = subprocess.Popen(
            [sys.executable, CHILDREN / script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(child)
        return child

    def kill(self) -> None:
        """End those that still run."""
        for child in self._started:
            child.kill()
            child.communicate()


@pytest.fixture
def children() -> Iterator[Children]:
    """Start other processes; none outlives the test."""
    started = Children()
    yield started
    started.kill()
