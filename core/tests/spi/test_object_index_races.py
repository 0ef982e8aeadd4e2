"""What happens between two requests of an index: each test holds one request up and lets others pass."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from _object_services import GatedObjects, indexed, scanned, true_summaries
from perdure_conformance.material import ORDER, addition, begin, creation

from perdure.spi import Key, MemoryObjects, ObjectHistoryStore, Query
from perdure.testing import ManualClock

if TYPE_CHECKING:
    from perdure.spi import Summary


class Hub:
    """Objects in a dict, with a base, and clients that can be held up."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.clock = ManualClock()
        self._count = 0

    def client(self, objects: MemoryObjects | None = None) -> ObjectHistoryStore:
        self._count += 1
        return indexed(objects or MemoryObjects(self.stored), self.clock, self._count)

    def held(self, when: str, call: str, prefix: str) -> tuple[ObjectHistoryStore, GatedObjects]:
        """Give a client whose first such request waits."""
        objects = GatedObjects(self.stored, when, call, prefix)
        return self.client(objects), objects

    async def scan(self) -> list[Summary]:
        """Scan as somebody new."""
        return await scanned(self.clock, self.client())

    async def truth(self) -> list[Summary]:
        return await true_summaries(self.stored, self.clock)

    async def write(self, *keys: str) -> None:
        """Write instances, each with a segment of its own."""
        for key in keys:
            client = self.client()
            await begin(client, Key(key))
            await client.aclose()

    def marks(self) -> list[str]:
        return [name for name in self.stored if name.startswith("ix/marks/")]


@pytest.fixture
async def hub() -> Hub:
    made = Hub()
    assert await made.scan() == []
    return made


async def _scan(store: ObjectHistoryStore) -> list[str]:
    return [summary.key async for summary in store.scan(Query())]


# ── two who merge ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", ["who has seen more", "who has seen less"])
async def test_of_two_who_merge_at_once_one_fails_and_deletes_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    monkeypatch.setattr("perdure.spi.object_history._index_objects.SEGMENTS_MAX", 2)
    await hub.write("a", "b")
    less, gate_of_less = hub.held("before", "put", "ix/base")
    scan_of_less = asyncio.ensure_future(_scan(less))
    await gate_of_less.is_there.wait()
    await hub.write("c")
    more, gate_of_more = hub.held("before", "put", "ix/base")
    scan_of_more = asyncio.ensure_future(_scan(more))
    await gate_of_more.is_there.wait()

    pairs = [(gate_of_less, scan_of_less), (gate_of_more, scan_of_more)]
    for gate, scan in pairs if first == "who has seen less" else pairs[::-1]:
        gate.gate.set()
        await scan

    assert (scan_of_less.result(), scan_of_more.result()) == (["a", "b"], ["a", "b", "c"])
    assert await hub.scan() == await hub.truth()


async def test_who_lists_before_a_merge_and_reads_after_it_misses_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perdure.spi.object_history._index_objects.SEGMENTS_MAX", 2)
    await hub.write("a", "b")
    slow, gate = hub.held("after", "list", "ix/")
    scan = asyncio.ensure_future(_scan(slow))
    await gate.is_there.wait()
    await hub.scan()
    assert [name for name in hub.stored if "segments" in name] == []

    gate.gate.set()

    assert await scan == ["a", "b"]


# ── a writer between two requests ────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_while_the_segment_with_the_one_before_is_written_is_in_the_next(hub: Hub) -> None:
    store, gate = hub.held("before", "put", "ix/segments/")
    await begin(store)
    await hub.clock.advance(1)
    assert gate.is_there.is_set()

    await store.append(addition(ORDER, 1, status="Completed"))
    gate.gate.set()
    await hub.clock.advance(3)

    assert [summary.status for summary in await hub.scan()] == ["Completed"]


async def test_a_segment_that_is_answered_too_late_does_not_renew_the_mark(hub: Hub) -> None:
    """Others may have taken it for dead, and cleared it away, before they saw the segment."""
    store, gate = hub.held("before", "put", "ix/segments/")
    await begin(store)
    (before,) = hub.marks()
    await hub.clock.advance(8.5)

    gate.gate.set()
    await hub.clock.advance(0)
    await begin(store, Key("another"))

    assert set(hub.marks()) - {before} != set()


async def test_two_turns_whose_answers_come_in_the_other_order_are_indexed_as_the_later(hub: Hub) -> None:
    store, gate = hub.held("after", "put", "h/")
    creating = asyncio.ensure_future(store.append(creation(ORDER)))
    await gate.is_there.wait()
    await store.append(addition(ORDER, 1, status="Completed"))

    gate.gate.set()
    await creating
    await hub.clock.advance(3)

    assert [summary.status for summary in await hub.scan()] == ["Completed"]


async def test_a_scan_finds_what_its_own_client_flushes_meanwhile(hub: Hub) -> None:
    store, gate = hub.held("after", "list", "ix/")
    await begin(store)
    scan = asyncio.ensure_future(_scan(store))
    await gate.is_there.wait()
    await hub.clock.advance(3)
    assert hub.marks() == []

    gate.gate.set()

    assert await scan == [ORDER]


async def test_many_first_writes_at_once_put_one_mark(hub: Hub) -> None:
    store, gate = hub.held("before", "put", "ix/marks/")
    writing = [asyncio.ensure_future(begin(store, Key(f"order-{number}"))) for number in range(10)]
    await gate.is_there.wait()
    gate.gate.set()
    seen: set[str] = set()
    while not all(task.done() for task in writing):
        await asyncio.sleep(0)
        seen |= set(hub.marks())

    assert len(seen) == 1


async def test_a_mark_whose_writer_was_cancelled_goes(hub: Hub) -> None:
    """Left behind it would make every scan wait, and the next one read all heads."""
    store, gate = hub.held("after", "put", "ix/marks/")
    writing = asyncio.ensure_future(begin(store))
    await gate.is_there.wait()
    assert len(hub.marks()) == 1

    writing.cancel()
    await asyncio.wait({writing})
    await hub.clock.advance(3)

    assert hub.marks() == []
    assert await hub.truth() == []
