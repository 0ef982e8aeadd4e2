"""Orchestrations do on `memory:` what they do everywhere: in one Step, and as a store and a queue apart."""

from __future__ import annotations

import pytest
from _memory_harness import MemoryHarness, TwoHalvesHarness
from perdure_conformance.scenarios import HubContract


class TestMemory(HubContract):
    harness = MemoryHarness


@pytest.mark.slow
class TestTwoHalves(HubContract):
    harness = TwoHalvesHarness
