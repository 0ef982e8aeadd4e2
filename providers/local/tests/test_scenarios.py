"""Orchestrations do on `sqlite:` what they do everywhere."""

from __future__ import annotations

import pytest
from _harnesses import SqliteHarness
from perdure_conformance.scenarios import HubContract


class BriefHarness(SqliteHarness):
    moment = 0.1


@pytest.mark.slow
class TestHub(HubContract):
    harness = BriefHarness
