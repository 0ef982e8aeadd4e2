"""`file:` answers random calls as the model does, and concurrent ones as one after the other."""

from __future__ import annotations

import pytest
from _harnesses import FileHarness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract


class BriefHarness(FileHarness):
    moment = 0.05


@pytest.mark.slow
class TestLinearizability(LinearizabilityContract):
    harness = BriefHarness
    history_count = 100


@pytest.mark.slow
class TestModel(ModelContract):
    harness = BriefHarness
    example_count = 4
