"""The reference model keeps every promise: as it is, with small limits, and through the committer for two halves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from _memory_harness import MemoryHarness, TwoHalvesHarness
from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract

from perdure.memory import MemoryQueue, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import HistoryStore, QueueCapabilities, WorkQueue


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
