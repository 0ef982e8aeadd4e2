"""Orchestrations do on `memory:` what they do everywhere, also while calls go wrong and processes die; and cheaply."""

from __future__ import annotations

import pytest
from _memory_harness import MemoryHarness, TwoHalvesHarness
from perdure_conformance.budgets import BudgetContract
from perdure_conformance.crashes import CrashContract
from perdure_conformance.faults import FaultContract


class TestFaults(FaultContract):
    harness = MemoryHarness
    seed = 1
    one_in = 4


class TestFaultsOfTwoHalves(FaultContract):
    harness = TwoHalvesHarness
    seed = 2
    one_in = 4


@pytest.mark.slow
class TestAllFaultsOfTwoHalves(FaultContract):
    harness = TwoHalvesHarness
    seed = 3


class TestCrashes(CrashContract):
    harness = MemoryHarness


class TestCrashesOfTwoHalves(CrashContract):
    harness = TwoHalvesHarness
    point_step = 2


class TestBudgets(BudgetContract):
    harness = MemoryHarness


class TestBudgetsOfTwoHalves(BudgetContract):
    harness = TwoHalvesHarness
