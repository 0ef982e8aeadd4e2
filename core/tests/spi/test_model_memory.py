"""`memory:` answers random calls as the model does, and concurrent ones as if one had come after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from _memory_harness import MemoryHarness, TwoHalvesHarness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract

from perdure.memory import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import QueueCapabilities, WorkQueue


class HastyQueue(MemoryQueue):
    """The same queue, where messages wear out and leases cannot be renewed for long."""

    capabilities: Mapping[str, QueueCapabilities] = {
        queue_class: msgspec.structs.replace(limits, deliveries_max=2, lease_total_seconds_max=900)
        for queue_class, limits in MemoryQueue.capabilities.items()
    }


class HastyHarness(TwoHalvesHarness):
    """`memory:` as a store and a queue that know nothing of each other, the queue with less patience."""

    def make_queue(self) -> WorkQueue:
        return HastyQueue(self.location, self.environment)


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
