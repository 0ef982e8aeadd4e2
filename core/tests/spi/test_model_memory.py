"""`memory:` answers random calls as the model does, and concurrent ones as if one had come after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from perdure_conformance import Harness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract

from perdure.memory import MemoryCommitter, MemoryQueue, MemoryStore
from perdure.spi import Environment, Location
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from perdure.spi import Committer, HistoryStore, QueueCapabilities, WorkQueue


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


class HastyQueue(MemoryQueue):
    """The same queue, where messages wear out and leases cannot be renewed for long."""

    capabilities: Mapping[str, QueueCapabilities] = {
        queue_class: msgspec.structs.replace(limits, deliveries_max=2, lease_total_seconds_max=900)
        for queue_class, limits in MemoryQueue.capabilities.items()
    }


class HastyHarness(MemoryHarness):
    """`memory:` as a store and a queue that know nothing of each other, the queue with less patience."""

    def make_queue(self) -> WorkQueue:
        return HastyQueue(self.location, self.environment)

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return Harness.make_committer(self, store, queue)


class TestModel(ModelContract):
    harness = MemoryHarness


class TestModelOfTwoHalves(ModelContract):
    harness = HastyHarness


class TestLinearizability(LinearizabilityContract):
    harness = MemoryHarness


@pytest.mark.slow
class TestModelForLong(ModelContract):
    harness = MemoryHarness
    example_count = 300


@pytest.mark.slow
class TestLinearizabilityForLong(LinearizabilityContract):
    harness = MemoryHarness
    history_count = 2000
