"""A hub of objects in a dict, on virtual time, with clients that keep an index."""

from __future__ import annotations

import asyncio

from _object_services import CountingObjects, indexed

from perdure.spi import Key, MemoryObjects, ObjectHistoryStore, Query
from perdure.testing import ManualClock

__all__ = ["IndexedHub", "tasks_of_indexes"]


class IndexedHub:
    """Objects in a dict, a clock, and clients that count their requests."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.clock = ManualClock()
        self._count = 0

    def client(self, objects: MemoryObjects | None = None) -> ObjectHistoryStore:
        self._count += 1
        return indexed(objects or MemoryObjects(self.stored), self.clock, self._count)

    def counted(self) -> tuple[ObjectHistoryStore, CountingObjects]:
        objects = CountingObjects(self.stored)
        return self.client(objects), objects

    def index(self, what: str) -> list[str]:
        return sorted(name for name in self.stored if name.startswith(f"ix/{what}"))

    async def keys(self, store: ObjectHistoryStore) -> list[str]:
        """Scan; it must not wait for anything."""
        scan = asyncio.ensure_future(_keys(store))
        await self.clock.advance(0)
        assert scan.done(), "the scan waits"
        return scan.result()

    async def build(self, *keys: Key) -> None:
        """Have the first scan behind us, which builds the base."""
        assert await self.keys(self.client()) == list(keys)


async def _keys(store: ObjectHistoryStore) -> list[str]:
    return [summary.key async for summary in store.scan(Query())]


def tasks_of_indexes() -> list[str]:
    """Name the tasks that write an index."""
    return [task.get_name() for task in asyncio.all_tasks() if "index" in task.get_name()]
