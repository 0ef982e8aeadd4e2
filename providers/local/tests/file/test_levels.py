"""`file:` while calls go wrong and processes die, and what it costs: samples of levels 6 and 7, level 12 as a whole.

`perdure conformance run --store file: --profile standard` runs all of it.
"""

from __future__ import annotations

import pytest
from _harnesses import FileHarness
from perdure_conformance.budgets import BudgetContract
from perdure_conformance.crashes import CrashContract
from perdure_conformance.faults import FaultContract


class BriefHarness(FileHarness):
    moment = 0.1


class TestBudgets(BudgetContract):
    harness = BriefHarness


@pytest.mark.slow
class TestFaults(FaultContract):
    harness = BriefHarness
    seed = 1
    one_in = 40


@pytest.mark.slow
class TestCrashes(CrashContract):
    harness = BriefHarness
    point_step = 7
