"""`memory:` as the contracts are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_conformance import Harness

from perdure.memory import MemoryCommitter, MemoryQueue, MemoryStore
from perdure.spi import Environment, Location
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.spi import Committer, HistoryStore, WorkQueue

__all__ = ["MemoryHarness", "TwoHalvesHarness"]


class MemoryHarness(Harness):
    """`memory:` under a name of its own, on virtual time."""

    time_is_virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
        self.location = Location(url=f"memory:{folder}", scheme="memory", path=str(folder), options={})

    def make_store(self) -> HistoryStore:
        return MemoryStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return MemoryQueue(self.location, self.environment)

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        assert isinstance(store, MemoryStore)
        assert isinstance(queue, MemoryQueue)
        return MemoryCommitter(store, queue)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)


class TwoHalvesHarness(MemoryHarness):
    """`memory:` as a store and a queue that know nothing of each other."""

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return Harness.make_committer(self, store, queue)
