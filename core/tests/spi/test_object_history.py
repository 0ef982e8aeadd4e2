"""ObjectHistoryStore keeps every promise of a HistoryStore on the plainest service of objects that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_conformance import CommitterContract, Harness, HistoryStoreContract

from perdure.memory import MemoryQueue
from perdure.spi import Environment, Key, Location, MemoryObjects, ObjectHistoryStore
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.spi import HistoryStore, StoredPayload, WorkQueue


class ObjectsHarness(Harness):
    """Objects in a dict, on virtual time."""

    time_is_virtual = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects: dict[str, bytes] = {}
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
        self.location = Location(url=f"memory:{folder}", scheme="memory", path=str(folder), options={})

    def make_store(self) -> HistoryStore:
        return ObjectHistoryStore(MemoryObjects(self.objects), self.environment)

    def make_queue(self) -> WorkQueue:
        return MemoryQueue(self.location, self.environment)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def corrupt_record(self, key: Key, version: int) -> bool:
        del version
        (name,) = [name for name in self.objects if name.endswith(f"/{key}/head")]
        self.objects[name] = self.objects[name].replace(b"turn", b"trun")
        return True

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        (name,) = [name for name in self.objects if name.startswith("p/")]
        self.objects[name] = self.objects[name][:-10]
        del payload
        return True


class IndexedHarness(ObjectsHarness):
    """The same with an index: what other clients changed is listed three seconds later."""

    def make_store(self) -> HistoryStore:
        return ObjectHistoryStore(MemoryObjects(self.objects), self.environment, index_seconds=1)


class TestHistory(HistoryStoreContract):
    harness = ObjectsHarness


class TestCommitter(CommitterContract):
    harness = ObjectsHarness


class TestHistoryWithIndex(HistoryStoreContract):
    harness = IndexedHarness


class TestCommitterWithIndex(CommitterContract):
    harness = IndexedHarness
