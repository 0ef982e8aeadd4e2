"""Services of objects that tests need: one that counts, one that dies, one that is slow, and one that goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.spi import (
    Absent,
    Environment,
    Etag,
    Found,
    HistoryStore,
    MemoryObjects,
    ObjectHistoryStore,
    PreconditionFailed,
    Query,
    Unavailable,
    Unchanged,
    Unknown,
)
from perdure.testing import SeededEntropy

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from perdure.spi import Summary
    from perdure.testing import ManualClock

__all__ = [
    "CountingObjects",
    "DyingObjects",
    "GatedObjects",
    "RandomObjects",
    "indexed",
    "scanned",
    "true_summaries",
    "until_done",
]

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


class CountingObjects(MemoryObjects):
    """Counts requests by kind; a get that is answered with `Unchanged` is a `304`."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.counts: Counter[str] = Counter()

    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        answer = await super().get(name, known_etag)
        self.counts["304" if isinstance(answer, Unchanged) else "GET"] += 1
        return answer

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        self.counts["PUT"] += 1
        return await super().put(name, data, if_absent=if_absent, if_match=if_match)

    async def delete(self, names: Sequence[str]) -> None:
        self.counts["DELETE"] += 1
        await super().delete(names)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        self.counts["LIST"] += 1
        async for name in super().list(prefix, after):
            yield name

    def take(self) -> dict[str, int]:
        """Give the counts since the last time."""
        counts, self.counts = dict(self.counts), Counter()
        return counts


class DisturbedObjects(MemoryObjects):
    """Calls `before` and `after` around each request's effect."""

    async def before(self, call: str, name: str) -> None:
        """Happens when the request was sent."""

    async def after(self, call: str, name: str) -> None:
        """Happens when it had its effect."""

    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        await self.before("get", name)
        answer = await super().get(name, known_etag)
        await self.after("get", name)
        return answer

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        await self.before("put", name)
        answer = await super().put(name, data, if_absent=if_absent, if_match=if_match)
        await self.after("put", name)
        return answer

    async def delete(self, names: Sequence[str]) -> None:
        # One by one: whoever dies in it has deleted some of them.
        for name in names:
            await self.before("delete", name)
            await super().delete([name])
            await self.after("delete", name)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        await self.before("list", prefix)
        names = [name async for name in super().list(prefix, after)]
        await self.after("list", prefix)
        for name in names:
            yield name


class DyingObjects(DisturbedObjects):
    """The service as a process sees it that dies at its request `dies_at`: it never gets an answer any more.

    Args:
        objects: What is stored.
        dies_at: Number of the request, from 0; -1: it lives on.
        has_effect: Whether that request still has its effect.
    """

    def __init__(self, objects: dict[str, bytes], dies_at: int, *, has_effect: bool) -> None:
        super().__init__(objects)
        self.requests = 0
        self.dead = asyncio.Event()
        self._dies_at = dies_at
        self._has_effect = has_effect

    async def before(self, call: str, name: str) -> None:
        del call, name
        number, self.requests = self.requests, self.requests + 1
        if self.dead.is_set() or (number == self._dies_at and not self._has_effect):
            await self._die()

    async def after(self, call: str, name: str) -> None:
        del call, name
        if self.requests - 1 == self._dies_at:
            await self._die()

    async def _die(self) -> None:
        self.dead.set()
        await asyncio.Event().wait()


class GatedObjects(DisturbedObjects):
    """The first request of one kind waits at a gate; every request takes a round of the event loop.

    Args:
        objects: What is stored.
        when: `before` or `after` its effect.
        call: `get`, `put`, `delete` or `list`.
        prefix: Of the name.
    """

    def __init__(self, objects: dict[str, bytes], when: str, call: str, prefix: str) -> None:
        super().__init__(objects)
        self.is_there = asyncio.Event()
        self.gate = asyncio.Event()
        self._stops = (when, call)
        self._prefix = prefix

    async def before(self, call: str, name: str) -> None:
        await asyncio.sleep(0)
        await self._pass("before", call, name)

    async def after(self, call: str, name: str) -> None:
        await self._pass("after", call, name)

    async def _pass(self, when: str, call: str, name: str) -> None:
        if (when, call) == self._stops and name.startswith(self._prefix) and not self.is_there.is_set():
            self.is_there.set()
            await self.gate.wait()


class RandomObjects(DisturbedObjects):
    """Every request takes some rounds of the event loop, and a share of them goes wrong.

    Args:
        objects: What is stored.
        chance: Decides.
        share: How many of the puts are refused or lose their answer, and how many of the other requests are refused.
    """

    def __init__(self, objects: dict[str, bytes], chance: random.Random, share: float = 0.0) -> None:
        super().__init__(objects)
        self._chance = chance
        self.share = share
        self.gone_wrong = 0
        self.is_dead = False

    async def before(self, call: str, name: str) -> None:
        del name
        if self.is_dead:
            await asyncio.Event().wait()
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        if self._chance.random() < (self.share / 2 if call == "put" else self.share):
            self.gone_wrong += 1
            raise Unavailable("throttled")
        if self.is_dead:
            await asyncio.Event().wait()

    async def after(self, call: str, name: str) -> None:
        del name
        if call == "put" and self._chance.random() < self.share / 2:
            self.gone_wrong += 1
            raise Unknown("answer lost")
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        if self.is_dead:
            await asyncio.Event().wait()


def indexed(objects: MemoryObjects, clock: ManualClock, seed: int) -> ObjectHistoryStore:
    """Make a store with an index of one second; clients of one hub have different seeds."""
    return ObjectHistoryStore(objects, Environment(clock, SeededEntropy(seed)), index_seconds=1)


async def until_done(clock: ManualClock, call: Coroutine[Any, Any, T]) -> T:
    """Let time pass until a call has ended."""
    task = asyncio.ensure_future(call)
    passed = 0.0
    await clock.advance(0)
    while not task.done():
        assert passed < PATIENCE_SECONDS, f"not done after {passed} seconds: {task}"
        await clock.advance(0.25)
        passed += 0.25
    return task.result()


async def scanned(clock: ManualClock, store: HistoryStore, query: Query | None = None) -> list[Summary]:
    """Scan, and let time pass meanwhile."""

    async def scan() -> list[Summary]:
        return [summary async for summary in store.scan(query or Query())]

    return await until_done(clock, scan())


async def true_summaries(stored: dict[str, bytes], clock: ManualClock) -> list[Summary]:
    """Give what the heads say: a scan without an index."""
    store = ObjectHistoryStore(MemoryObjects(stored), Environment(clock, SeededEntropy(0)))
    return [summary async for summary in store.scan(Query())]
