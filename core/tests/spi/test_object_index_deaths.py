"""Clients that die, are stopped, or do not know whether they have written: a scan finds what they did."""

from __future__ import annotations

import asyncio

import pytest
from _indexed_hub import IndexedHub as Hub
from _indexed_hub import tasks_of_indexes
from _object_services import CountingObjects, scanned, until_done
from perdure_conformance.material import ORDER, addition, begin, creation

from perdure.spi import (
    Etag,
    Key,
    MemoryObjects,
    PreconditionFailed,
    Query,
    Unknown,
)
from perdure.spi.object_history._index_objects import SEGMENTS_MAX


@pytest.fixture
def hub() -> Hub:
    return Hub()


class Frozen(CountingObjects):
    """A client's service, until the client is stopped: then nothing is answered."""

    is_frozen = False

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        if self.is_frozen:
            await asyncio.Event().wait()
        return await super().put(name, data, if_absent=if_absent, if_match=if_match)


async def test_what_a_client_did_before_it_died_is_found_by_reading_the_heads_once(hub: Hub) -> None:
    await hub.build()
    objects = Frozen(hub.stored)
    victim = hub.client(objects)
    await begin(victim)
    objects.is_frozen = True
    (reader, counts), began = hub.counted(), hub.clock.monotonic()

    assert [summary.key for summary in await scanned(hub.clock, reader)] == [ORDER]
    assert 10 <= hub.clock.monotonic() - began <= 11
    assert hub.index("marks/") == []

    counts.take()
    assert await hub.keys(reader) == [ORDER]
    assert counts.take() == {"LIST": 1, "GET": 1}


async def test_who_has_seen_a_mark_stand_still_already_does_not_wait(hub: Hub) -> None:
    await hub.build()
    objects = Frozen(hub.stored)
    await begin(hub.client(objects))
    objects.is_frozen = True
    reader = hub.client()
    scan = reader.scan(Query())
    waiting = asyncio.ensure_future(anext(scan))
    await hub.clock.advance(1)
    waiting.cancel()
    await hub.clock.advance(3600)

    assert await hub.keys(reader) == [ORDER]


async def test_a_client_that_was_stopped_for_a_while_begins_with_a_new_mark(hub: Hub) -> None:
    """Others took it for dead, read the heads and cleared its mark away; then it dies for real."""
    await hub.build()
    objects = Frozen(hub.stored)
    victim, reader = hub.client(objects), hub.client()
    await begin(victim)
    objects.is_frozen = True
    assert len(await scanned(hub.clock, reader)) == 1
    objects.is_frozen = False

    await begin(victim, Key("after the pause"))
    objects.is_frozen = True

    assert [summary.key for summary in await scanned(hub.clock, reader)] == ["after the pause", ORDER]


async def test_a_client_whose_segments_were_just_merged_is_not_taken_for_dead(hub: Hub) -> None:
    """The merger leaves the highest one of each mark: whoever looks after a while must see a higher one than before."""
    await hub.build()
    (reader, counts), writer = hub.counted(), hub.client()
    for number in range(SEGMENTS_MAX + 2):
        await begin(writer, Key(f"order-{number:02}"))
        await hub.clock.advance(1)
        if number == 9:
            assert await scanned(hub.clock, reader)
        if number > 9:
            assert len(hub.index("segments/")) >= 1
    assert len(hub.index("segments/")) < 9
    (mark,) = hub.index("marks/")
    counts.take()

    await scanned(hub.clock, reader)

    assert counts.take()["GET"] < 10
    assert hub.index("marks/") in ([], [mark])


async def test_an_index_goes_on_after_its_task_was_cancelled(hub: Hub) -> None:
    """Somebody cancelled every task there was, and went on."""
    await hub.build()
    store = hub.client()
    await begin(store)
    for task in asyncio.all_tasks():
        if "index" in task.get_name():
            task.cancel()
    await hub.clock.advance(0)

    await begin(store, Key("another"))
    await hub.clock.advance(3)

    assert await hub.keys(hub.client()) == ["another", ORDER]


async def test_a_slow_write_keeps_the_mark_of_its_client(hub: Hub) -> None:
    """A client that waits for a head of its own is alive: it says so every second."""
    await hub.build()
    objects = SlowHeads(hub.stored)
    writer, reader = hub.client(objects), hub.client()
    writing = asyncio.ensure_future(begin(writer))
    await hub.clock.advance(20)
    assert len(hub.index("marks/")) == 1
    assert await scanned(hub.clock, reader) == []
    assert len(hub.index("marks/")) == 1

    objects.answer.set()
    await writing
    await hub.clock.advance(3)

    assert await hub.keys(reader) == [ORDER]


class SlowHeads(MemoryObjects):
    """Heads are not written before `answer` is set."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.answer = asyncio.Event()

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        if name.startswith("h/"):
            await self.answer.wait()
        return await super().put(name, data, if_absent=if_absent, if_match=if_match)


class LateHeads(MemoryObjects):
    """Heads that are put while `is_late` get no answer, and are written when `land` is called."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__(objects)
        self.is_late = True
        self._late: list[tuple[str, bytes, bool, Etag | None]] = []

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        if self.is_late and name.startswith("h/"):
            self._late.append((name, data, if_absent, if_match))
            raise Unknown("no answer")
        return await super().put(name, data, if_absent=if_absent, if_match=if_match)

    async def land(self) -> None:
        self.is_late = False
        for name, data, if_absent, if_match in self._late:
            await self.put(name, data, if_absent=if_absent, if_match=if_match)


@pytest.mark.parametrize("is_there", [False, True], ids=["create", "turn"])
async def test_a_write_that_happens_after_its_answer_was_given_up_is_found(hub: Hub, *, is_there: bool) -> None:
    """Its caller gave up: nobody repeats it, and the sweeper is the only one who could wake the instance."""
    await hub.build()
    objects = LateHeads(hub.stored)
    writer, reader = hub.client(objects), hub.client()
    append = creation(ORDER, status="Pending")
    if is_there:
        await begin(reader)
        append = addition(ORDER, 1, status="Pending")
    with pytest.raises(Unknown):
        await until_done(hub.clock, writer.append(append))
    await hub.clock.advance(10)

    await objects.land()
    await hub.clock.advance(3)

    assert [summary.status for summary in await scanned(hub.clock, hub.client())] == ["Pending"]
    assert hub.index("marks/") == []


async def test_a_write_in_doubt_that_never_happens_is_given_up(hub: Hub) -> None:
    await hub.build()
    writer = hub.client(LateHeads(hub.stored))
    with pytest.raises(Unknown):
        await until_done(hub.clock, writer.append(creation(ORDER)))

    await hub.clock.advance(40)

    assert hub.index("marks/") == []


async def test_who_closes_with_a_write_in_doubt_leaves_its_mark(hub: Hub) -> None:
    """The write may happen any time now: whoever scans next reads the heads."""
    await hub.build()
    objects = LateHeads(hub.stored)
    writer = hub.client(objects)
    with pytest.raises(Unknown):
        await until_done(hub.clock, writer.append(creation(ORDER)))
    await writer.aclose()
    assert tasks_of_indexes() == []

    await objects.land()

    assert [summary.key for summary in await scanned(hub.clock, hub.client())] == [ORDER]


async def test_a_cancelled_write_that_happened_is_found(hub: Hub) -> None:
    await hub.build()
    objects = SlowHeads(hub.stored)
    writer = hub.client(objects)
    writing = asyncio.ensure_future(begin(writer))
    await hub.clock.advance(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    hub.stored |= await _head_of_an_order()

    await hub.clock.advance(3)

    assert await hub.keys(hub.client()) == [ORDER]


async def _head_of_an_order() -> dict[str, bytes]:
    elsewhere = Hub()
    await begin(elsewhere.client())
    return {name: data for name, data in elsewhere.stored.items() if name.startswith("h/")}
