"""`sqlite:` answers random calls as the model does, and concurrent ones as one after the other."""

from __future__ import annotations

import pytest
from _harnesses import ApartHarness, SqliteHarness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract


class BriefHarness(SqliteHarness):
    moment = 0.05


class BriefApartHarness(ApartHarness):
    moment = 0.05


class TestLinearizability(LinearizabilityContract):
    harness = BriefHarness


@pytest.mark.slow
class TestLinearizabilityOfSeveralProcesses(LinearizabilityContract):
    harness = BriefApartHarness
    history_count = 100


@pytest.mark.slow
class TestModel(ModelContract):
    harness = BriefHarness
    example_count = 6


@pytest.mark.slow
class TestModelOfSeveralProcesses(ModelContract):
    harness = BriefApartHarness
    example_count = 4
