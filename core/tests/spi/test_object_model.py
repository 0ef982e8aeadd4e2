"""Histories over objects, with an index, answer random calls as the model does, and concurrent ones in some order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import Harness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract

from perdure.memory import MemoryQueue
from perdure.spi import Environment, Location, MemoryObjects, ObjectHistoryStore
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.spi import HistoryStore, WorkQueue


class IndexedHarness(Harness):
    """Objects in a dict with an index, on virtual time; messages in memory."""

    time_is_virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
        self._objects: dict[str, bytes] = {}
        self._location = Location(url=f"memory:{folder}", scheme="memory", path=str(folder), options={})

    def make_store(self) -> HistoryStore:
        return ObjectHistoryStore(MemoryObjects(self._objects), self.environment, index_seconds=1)

    def make_queue(self) -> WorkQueue:
        return MemoryQueue(self._location, self.environment)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)


@pytest.mark.slow
class TestModel(ModelContract):
    harness = IndexedHarness


class TestLinearizability(LinearizabilityContract):
    harness = IndexedHarness
