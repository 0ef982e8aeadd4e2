"""`sqlite:` keeps every promise of the interfaces."""

from __future__ import annotations

import pytest
from _harnesses import ApartHarness, SqliteHarness
from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract


class TestHistory(HistoryStoreContract):
    harness = SqliteHarness


@pytest.mark.slow
class TestHistoryOfSeveralProcesses(HistoryStoreContract):
    harness = ApartHarness


class TestQueue(WorkQueueContract):
    harness = SqliteHarness


@pytest.mark.slow
class TestQueueOfSeveralProcesses(WorkQueueContract):
    harness = ApartHarness


class TestCommitter(CommitterContract):
    harness = SqliteHarness
