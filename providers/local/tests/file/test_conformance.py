"""`file:` keeps every promise of the interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import CommitterContract, Harness, HistoryStoreContract, WorkQueueContract

from perdure.spi import Key, Location
from perdure_local import FileQueue, FileStore

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, StoredPayload, WorkQueue

pytestmark = pytest.mark.slow


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


class TestHistory(HistoryStoreContract):
    harness = FileHarness


class TestQueue(WorkQueueContract):
    harness = FileHarness


class TestCommitter(CommitterContract):
    harness = FileHarness
