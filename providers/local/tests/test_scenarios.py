"""Orchestrations do on `sqlite:` what they do everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import Harness
from perdure_conformance.scenarios import HubContract

from perdure.spi import Location
from perdure_local import SqliteCommitter, SqliteQueue, SqliteStore

if TYPE_CHECKING:
    from perdure.spi import Committer, HistoryStore, WorkQueue


class SqliteHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.1

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


@pytest.mark.slow
class TestHub(HubContract):
    harness = SqliteHarness
