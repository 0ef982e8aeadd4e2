"""`file:` keeps every promise of the interfaces."""

from __future__ import annotations

import pytest
from _harnesses import FileHarness
from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract

pytestmark = pytest.mark.slow


class TestHistory(HistoryStoreContract):
    harness = FileHarness


class TestQueue(WorkQueueContract):
    harness = FileHarness


class TestCommitter(CommitterContract):
    harness = FileHarness
