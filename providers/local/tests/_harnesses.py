"""The backends of this package as the contracts are told of them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from perdure_conformance import Harness
from perdure_conformance.harness import Addresses

from perdure.spi import Key, Location
from perdure_local import FileQueue, FileStore, SqliteCommitter, SqliteQueue, SqliteStore
from perdure_local.sqlite import _database

if TYPE_CHECKING:
    from perdure.spi import Committer, HistoryStore, StoredPayload, WorkQueue

__all__ = ["ApartHarness", "FileAndSqliteHarness", "FileHarness", "SqliteAndFileHarness", "SqliteHarness"]


_PROBE_PATH = os.pathsep.join(filter(None, (str(Path(__file__).parent / "torture"), os.environ.get("PYTHONPATH"))))


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

    def addresses(self) -> Addresses:
        return _addresses(self.location)

    async def corrupt_record(self, key: Key, version: int) -> bool:
        del key
        with closing(sqlite3.connect(self.folder / "hub.db")) as database, database:
            database.execute("UPDATE log SET data = zeroblob(length(data)) WHERE version = ?", (version,))
        return True

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        del payload
        for file in (self.folder / "payloads").rglob("*"):
            file.unlink() if file.is_file() else None
        return True


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


class FileHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.2

    @property
    def location(self) -> Location:
        return Location(url=f"file:{self.folder}", scheme="file", path=str(self.folder), options={})

    def make_store(self) -> HistoryStore:
        return FileStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return FileQueue(self.location, self.environment)

    def addresses(self) -> Addresses:
        return _addresses(self.location)

    async def corrupt_record(self, key: Key, version: int) -> bool:
        del version
        (head,) = (self.folder / "objects" / "h").rglob(f"{key}/head")
        head.write_bytes(head.read_bytes().replace(b"turn", b"trun"))
        return True

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        del payload
        (file,) = [path for path in (self.folder / "objects" / "p").rglob("*") if path.is_file()]
        file.write_bytes(file.read_bytes()[:-10])
        return True


class FileAndSqliteHarness(FileHarness):
    """Histories in files, messages in a database."""

    @property
    def queue_location(self) -> Location:
        folder = f"{self.folder}-queue"
        return Location(url=f"sqlite:{folder}", scheme="sqlite", path=folder, options={})

    def make_queue(self) -> WorkQueue:
        return SqliteQueue(self.queue_location, self.environment)

    def addresses(self) -> Addresses:
        return _addresses(self.location, self.queue_location)


class SqliteAndFileHarness(SqliteHarness):
    """Histories in a database, messages in files."""

    @property
    def queue_location(self) -> Location:
        folder = f"{self.folder}-queue"
        return Location(url=f"file:{folder}", scheme="file", path=folder, options={})

    def make_queue(self) -> WorkQueue:
        return FileQueue(self.queue_location, self.environment)

    def make_committer(self, store: HistoryStore, queue: WorkQueue) -> Committer:
        return Harness.make_committer(self, store, queue)

    def addresses(self) -> Addresses:
        return _addresses(self.location, self.queue_location)


def _addresses(store: Location, queue: Location | None = None) -> Addresses:
    environment = {"PYTHONPATH": _PROBE_PATH}
    return Addresses(store.url, queue.url if queue else None, environment, probe="lock_probe:watch")
