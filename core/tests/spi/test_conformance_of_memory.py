"""The reference model keeps every promise: as it is, with small limits, and through the committer for two halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from perdure_conformance import CommitterContract, Harness, HistoryStoreContract, WorkQueueContract

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


class SmallStore(MemoryStore):
    """The same store with limits that tests reach."""

    capabilities = msgspec.structs.replace(
        MemoryStore.capabilities, record_bytes_max=2_000_000, inline_bytes_max=1000, payload_bytes_max=6_000_000
    )


class SmallQueue(MemoryQueue):
    """The same queue with limits that tests reach, and with the classes' natures swapped."""

    capabilities: Mapping[str, QueueCapabilities] = {
        queue_class: msgspec.structs.replace(
            limits,
            body_bytes_max=20_000,
            delay_seconds_max=900,
            lease_total_seconds_max=7200,
            lease_seconds_max=3600,
            deliveries_max=3,
            send_batch_max=10,
            receive_batch_max=10,
            exclusive_groups=not limits.exclusive_groups,
        )
        for queue_class, limits in MemoryQueue.capabilities.items()
    }


class SmallMemoryHarness(MemoryHarness):
    """`memory:` as it would be as a modest service."""

    def make_store(self) -> HistoryStore:
        return SmallStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return SmallQueue(self.location, self.environment)


class TwoHalvesHarness(MemoryHarness):
    """`memory:` as a store and a queue that know nothing of each other."""

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return Harness.make_committer(self, store, queue)


class TestMemoryStore(HistoryStoreContract):
    harness = MemoryHarness


class TestMemoryQueue(WorkQueueContract):
    harness = MemoryHarness


class TestMemoryCommitter(CommitterContract):
    harness = MemoryHarness


class TestSmallMemoryStore(HistoryStoreContract):
    harness = SmallMemoryHarness


class TestSmallMemoryQueue(WorkQueueContract):
    harness = SmallMemoryHarness


class TestSmallMemoryCommitter(CommitterContract):
    harness = SmallMemoryHarness


class TestOutboxCommitter(CommitterContract):
    harness = TwoHalvesHarness
