"""The contracts on `sqlite:` where no time passes: as strict as in real time, and quick enough for every mutant."""

from __future__ import annotations

import sys
from pathlib import Path

from perdure.spi import Environment
from perdure.testing import ManualClock
from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract

sys.path.insert(0, str(Path(__file__).parents[3] / "providers" / "local" / "tests"))

from _harnesses import SqliteHarness


class VirtualHarness(SqliteHarness):
    """A folder of its own, in virtual time."""

    time_is_virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock(monotonic=1000)
        self.environment = Environment(self.clock, self.environment.entropy)

    async def let_time_pass(self, seconds: float) -> None:
        """Move the clock."""
        await self.clock.advance(seconds)


class TestHistory(HistoryStoreContract):
    """H1 to H10."""

    harness = VirtualHarness


class TestQueue(WorkQueueContract):
    """Q1 to Q11."""

    harness = VirtualHarness


class TestCommitter(CommitterContract):
    """C1 to C6."""

    harness = VirtualHarness
