"""An index on a service that refuses, loses answers or is damaged; and how its base comes to be."""

from __future__ import annotations

import pytest
from _indexed_hub import IndexedHub as Hub
from _indexed_hub import tasks_of_indexes
from _object_services import scanned
from perdure_conformance.material import ORDER, addition, begin, creation, purge

from perdure.spi import (
    Absent,
    Corrupt,
    Etag,
    Found,
    Key,
    MemoryObjects,
    Misuse,
    PreconditionFailed,
    Unavailable,
    Unchanged,
    Unknown,
)
from perdure.spi.object_history._index import Entry, decode_base
from perdure.spi.object_history._index_objects import SEGMENTS_MAX


@pytest.fixture
def hub() -> Hub:
    return Hub()


class Refusing(MemoryObjects):
    """A service that answers every put of a name with that prefix by one error."""

    def __init__(self, objects: dict[str, bytes], prefix: str, error: Exception) -> None:
        super().__init__(objects)
        self.prefix = prefix
        self._error = error

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        if self.prefix and name.startswith(self.prefix):
            raise self._error
        return await super().put(name, data, if_absent=if_absent, if_match=if_match)


@pytest.mark.parametrize("error", [Unavailable("throttled"), Unknown("no answer")])
async def test_segments_that_cannot_be_written_are_written_later_and_no_append_waits(
    hub: Hub, error: Exception
) -> None:
    await hub.build()
    objects = Refusing(hub.stored, "ix/segments/", error)
    store, reader = hub.client(objects), hub.client()
    for number in range(30):
        await store.append(creation(Key(f"order-{number:02}")))
        await hub.clock.advance(1)
    assert len(await hub.keys(store)) == 30

    objects.prefix = ""
    await hub.clock.advance(3)

    assert len(await hub.keys(reader)) == 30
    assert hub.index("marks/") == []


@pytest.mark.parametrize("error", [Unavailable("throttled"), Unknown("no answer")])
async def test_without_a_mark_nothing_is_written_and_the_caller_may_try_again(hub: Hub, error: Exception) -> None:
    objects = Refusing(hub.stored, "ix/marks/", error)
    store = hub.client(objects)

    with pytest.raises(Unavailable):
        await store.append(creation(ORDER))
    assert hub.stored == {}

    objects.prefix = ""
    await begin(store)
    await hub.clock.advance(3)
    assert await hub.keys(hub.client()) == [ORDER]
    assert hub.index("marks/") == []


class LosesMarks(MemoryObjects):
    """Marks are written, and nobody is told."""

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        answer = await super().put(name, data, if_absent=if_absent, if_match=if_match)
        if name.startswith("ix/marks/"):
            raise Unknown("answer lost")
        return answer


async def test_a_mark_whose_answer_was_lost_goes(hub: Hub) -> None:
    """Left behind it would make the next scan read all heads."""
    with pytest.raises(Unavailable):
        await hub.client(LosesMarks(hub.stored)).append(creation(ORDER))
    assert len(hub.index("marks/")) == 1

    await hub.clock.advance(3)

    assert hub.stored == {}


async def test_segments_that_may_not_be_written_are_told_to_whoever_writes_next(hub: Hub) -> None:
    """Rights were forgotten: nobody should have to find out by lists that lack instances."""
    store = hub.client(Refusing(hub.stored, "ix/segments/", Misuse("no right to write ix/")))
    await begin(store)
    await hub.clock.advance(1)

    with pytest.raises(Misuse, match="no right"):
        await store.append(addition(ORDER, 1))
    with pytest.raises(Misuse, match="no right"):
        await store.aclose()
    assert [summary.key for summary in await scanned(hub.clock, hub.client())] == [ORDER]


async def test_a_close_that_cannot_write_leaves_the_mark_to_whoever_scans_next(hub: Hub) -> None:
    await hub.build()
    store = hub.client(Refusing(hub.stored, "ix/segments/", Unavailable("throttled")))
    await begin(store)

    await store.aclose()

    assert tasks_of_indexes() == []
    assert [summary.key for summary in await scanned(hub.clock, hub.client())] == [ORDER]


async def test_a_scan_that_cannot_write_the_base_is_right_all_the_same(hub: Hub) -> None:
    await begin(hub.client())
    await hub.clock.advance(3)

    for _ in range(2):
        assert await hub.keys(hub.client(Refusing(hub.stored, "ix/base", Unavailable("throttled")))) == [ORDER]
    assert hub.index("base") == []


async def test_a_base_that_is_too_large_is_not_written(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(hub.client())
    await hub.clock.advance(3)
    small = MemoryObjects(hub.stored)
    monkeypatch.setattr(small, "capabilities", type(small.capabilities)(object_bytes_max=50, server_time=False))

    assert await hub.keys(hub.client(small)) == [ORDER]
    assert hub.index("base") == []


async def test_a_hub_that_had_no_index_gets_one_by_the_first_scan(hub: Hub) -> None:
    """Written by an earlier release, or the index was deleted to have it built again."""
    store = hub.client()
    await begin(store, records=2)
    await begin(store, Key("gone"))
    await purge(store, Key("gone"), 1)
    await store.aclose()
    for name in hub.index(""):
        del hub.stored[name]
    reader, counts = hub.counted()

    assert await hub.keys(reader) == [ORDER]
    assert counts.take() == {"LIST": 3, "GET": 3, "PUT": 1, "DELETE": 1}
    assert await hub.keys(reader) == [ORDER]
    assert counts.take() == {"LIST": 1, "GET": 1}


async def test_a_writer_merges_its_segments_now_and_then_though_nobody_scans(hub: Hub) -> None:
    await hub.build()
    store, counts = hub.counted()
    for number in range(SEGMENTS_MAX * 3):
        await begin(store, Key(f"order-{number:03}"))
        await hub.clock.advance(1)

    assert len(hub.index("segments/")) <= SEGMENTS_MAX
    assert decode_base(hub.stored["ix/base"], name="").generation == 3
    await hub.clock.advance(3)
    assert len(await hub.keys(hub.client())) == SEGMENTS_MAX * 3
    assert counts.take()["PUT"] == 1 + SEGMENTS_MAX * 3 * 2 + 2


async def test_the_first_base_is_left_to_a_scan(hub: Hub) -> None:
    """All heads go into it: a writer that read them would not write its segments meanwhile."""
    store = hub.client()
    for number in range(SEGMENTS_MAX + 2):
        await begin(store, Key(f"order-{number:03}"))
        await hub.clock.advance(1)
    assert (hub.index("base"), len(hub.index("segments/"))) == ([], SEGMENTS_MAX + 2)

    await hub.clock.advance(3)

    assert len(await hub.keys(hub.client())) == SEGMENTS_MAX + 2
    assert (len(hub.index("base")), hub.index("segments/")) == (1, [])


async def test_tombstones_leave_the_base_an_hour_later(hub: Hub) -> None:
    """Hubs that purge what is done would have an index of nothing but tombstones."""
    await hub.build()
    store = hub.client()
    await begin(store)
    tombstones = [Entry(ORDER, await purge(store, ORDER, 1), None, forget_at=0)]
    for number in range(2 * SEGMENTS_MAX + 4):
        await begin(store, Key(f"order-{number:03}"))
        await hub.clock.advance(1 if number % (SEGMENTS_MAX + 2) else 3600)
        tombstones += [one for one in decode_base(hub.stored["ix/base"], name="").entries if one.summary is None]

    assert {one.key for one in tombstones} == {ORDER}
    assert len(tombstones) > SEGMENTS_MAX
    assert all(one.summary for one in decode_base(hub.stored["ix/base"], name="").entries)
    await hub.clock.advance(3)
    assert len(await hub.keys(hub.client())) == 2 * SEGMENTS_MAX + 4


@pytest.mark.parametrize("which", ["base", "segments/"])
async def test_a_damaged_index_says_how_it_is_built_again(hub: Hub, which: str) -> None:
    await hub.build()
    await begin(hub.client())
    await hub.clock.advance(3)
    (name,) = hub.index(which)
    whole = hub.stored[name]

    for damaged in (whole[:-4], whole.replace(b'"count"', b'"cuont"'), b""):
        hub.stored[name] = damaged
        with pytest.raises(Corrupt, match="delete what is below ix/"):
            await hub.keys(hub.client())


async def test_a_base_that_goes_away_while_it_is_read_is_unavailable(hub: Hub) -> None:
    """Taken for an empty one it would be written back without most of the hub."""
    await begin(hub.client())
    await hub.clock.advance(3)
    await hub.build(ORDER)

    class Vanishing(MemoryObjects):
        async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
            hub.stored.pop("ix/base", None)
            return await super().get(name, known_etag)

    with pytest.raises(Unavailable, match="ix/base"):
        await hub.keys(hub.client(Vanishing(hub.stored)))
    assert await hub.keys(hub.client()) == [ORDER]
