"""Orchestrations do on `file:` what they do everywhere."""

from __future__ import annotations

import pytest
from _harnesses import FileHarness
from perdure_conformance.scenarios import HubContract


class BriefHarness(FileHarness):
    moment = 0.1


@pytest.mark.slow
class TestHub(HubContract):
    harness = BriefHarness
