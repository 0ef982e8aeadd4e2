"""`sqlite:` keeps every promise of the interfaces."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from perdure_conformance import CommitterContract, Harness, HistoryStoreContract, WorkQueueContract

from perdure.spi import Key, Location
from perdure_local import SqliteCommitter, SqliteQueue, SqliteStore

if TYPE_CHECKING:
    from perdure.spi import Committer, HistoryStore, StoredPayload, WorkQueue


class SqliteHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.2

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

    async def corrupt_record(self, key: Key, version: int) -> bool:
        with closing(sqlite3.connect(self.folder / "hub.db")) as database, database:
            database.execute("UPDATE log SET data = zeroblob(length(data)) WHERE version = ?", (version,))
        return True

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        for file in (self.folder / "payloads").rglob("*"):
            file.unlink() if file.is_file() else None
        return True


class TestHistory(HistoryStoreContract):
    harness = SqliteHarness


class TestQueue(WorkQueueContract):
    harness = SqliteHarness


class TestCommitter(CommitterContract):
    harness = SqliteHarness
