"""`sqlite:` answers random calls as the model does, and concurrent ones as one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import Harness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract

from perdure.spi import Location
from perdure_local import SqliteCommitter, SqliteQueue, SqliteStore
from perdure_local.sqlite import _database

if TYPE_CHECKING:
    from perdure.spi import Committer, HistoryStore, WorkQueue


class SqliteHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.05

    @property
    def location(self) -> Location:
        return Location(url=f"sqlite:{self.folder}", scheme="sqlite", path=str(self.folder), options={})

    def make_store(self) -> HistoryStore:
        return SqliteStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return SqliteQueue(self.location, self.environment)

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        assert isinstance(store, SqliteStore)
        assert isinstance(queue, SqliteQueue)
        return SqliteCommitter(store, queue, self.environment)


class ApartHarness(SqliteHarness):
    """Each client with a connection, a lock and a socket of its own, as if it were in another process."""

    def make_store(self) -> HistoryStore:
        _database._OPEN.clear()
        return super().make_store()

    def make_queue(self) -> WorkQueue:
        _database._OPEN.clear()
        return super().make_queue()

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return Harness.make_committer(self, store, queue)  # They are apart, too.


class TestLinearizability(LinearizabilityContract):
    harness = SqliteHarness


@pytest.mark.slow
class TestLinearizabilityOfSeveralProcesses(LinearizabilityContract):
    harness = ApartHarness
    history_count = 100


@pytest.mark.slow
class TestModel(ModelContract):
    harness = SqliteHarness
    example_count = 6


@pytest.mark.slow
class TestModelOfSeveralProcesses(ModelContract):
    harness = ApartHarness
    example_count = 4
