"""What seldom happens to histories over objects: damage, garbage, services that are gone at a bad moment."""

from __future__ import annotations

import asyncio

import pytest
from _object_services import GatedObjects, indexed
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

from perdure.spi import (
    Committed,
    Conflict,
    Corrupt,
    Environment,
    Etag,
    Key,
    MemoryObjects,
    Misuse,
    ObjectHistoryStore,
    PayloadScope,
    PreconditionFailed,
    StoredPayload,
    Tombstone,
    Unavailable,
    Unknown,
    encode_part,
)
from perdure.spi.object_history._container import pack, unpack
from perdure.spi.object_history._index import decode_segment
from perdure.spi.object_history._names import head_name, payload_name
from perdure.testing import ManualClock, SeededEntropy

LONG = StoredPayload(ORDER, "first/" + "x" * 500)
BIG = b"x" * 40_000


def open_store(objects: MemoryObjects, clock: ManualClock | None = None) -> ObjectHistoryStore:
    return ObjectHistoryStore(objects, Environment(clock or ManualClock(), SeededEntropy(1)))


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class LosesAnswers(MemoryObjects):
    """Puts have their effect; the answers of the first `left` of them are lost."""

    def __init__(self, objects: dict[str, bytes], left: int) -> None:
        super().__init__(objects)
        self.left = left

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        answer = await super().put(name, data, if_absent=if_absent, if_match=if_match)
        if self.left:
            self.left -= 1
            raise Unknown("answer lost")
        return answer


async def test_h9_a_payload_whose_answers_were_lost_is_found_to_be_there() -> None:
    store = open_store(LosesAnswers({}, 3))

    await store.put_payload(LONG, b"invoice")

    assert await store.get_payload(LONG) == b"invoice"


async def test_h9_a_payload_without_any_answer_is_unknown() -> None:
    store = open_store(LosesAnswers({}, 4))

    with pytest.raises(Unknown):
        await store.put_payload(LONG, b"invoice")
    with pytest.raises(Misuse, match="other bytes"):
        await store.put_payload(LONG, b"another invoice")


async def test_h9_a_payload_in_anothers_place_is_corrupt() -> None:
    """Copied by hand, or cut off."""
    stored: dict[str, bytes] = {}
    store = open_store(MemoryObjects(stored))
    await store.put_payload(LONG, b"invoice")
    whole = stored[payload_name(*_place(LONG))]

    stored[payload_name(ORDER, "other")] = whole
    with pytest.raises(Corrupt, match="other"):
        await store.get_payload(StoredPayload(ORDER, "other"))

    info = {"key": ORDER, "name": LONG.name, "length": 3}
    stored[payload_name(*_place(LONG))] = pack("payload", info, (b"invoice",))
    with pytest.raises(Corrupt, match="first/"):
        await store.get_payload(LONG)


def _place(payload: StoredPayload) -> tuple[str, str]:
    return payload.key, payload.name


async def test_h9_a_payload_that_goes_while_it_is_listed_is_passed_over() -> None:
    """Only inside the object is its whole name."""
    stored: dict[str, bytes] = {}
    objects = GatedObjects(stored, "after", "list", "p/")
    store = open_store(objects)
    await store.put_payload(LONG, b"invoice")
    await store.put_payload(StoredPayload(ORDER, "short"), b"invoice")
    listing = asyncio.ensure_future(_payloads(store))
    await objects.is_there.wait()

    await MemoryObjects(stored).delete([payload_name(*_place(LONG))])
    objects.gate.set()

    assert await listing == ["short"]


async def _payloads(store: ObjectHistoryStore) -> list[str]:
    return [found.name async for found in store.payloads(PayloadScope(ORDER))]


async def test_h10_a_payload_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stored: dict[str, bytes] = {}
    store = open_store(MemoryObjects(stored))
    small = type(store.capabilities)(
        record_bytes_max=10,
        inline_bytes_max=10,
        payload_bytes_max=10,
        scan_lag_seconds=0,
        notifies=False,
        server_time=False,
    )
    monkeypatch.setattr(store, "capabilities", small)

    await store.put_payload(StoredPayload(ORDER, "ten"), b"x" * 10)
    with pytest.raises(Misuse, match="payload_bytes_max=10"):
        await store.put_payload(StoredPayload(ORDER, "eleven"), b"x" * 11)

    assert [name.rpartition("/")[2] for name in stored] == ["ten"]


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_h5_a_chunk_with_other_records_than_the_head_names_is_corrupt() -> None:
    """Its checksum is right: somebody has put back an older one."""
    stored: dict[str, bytes] = {}
    store = open_store(MemoryObjects(stored))
    await begin(store)
    for version in (1, 2, 3):
        await store.append(addition(ORDER, version, record=BIG))
    first, second = sorted(name for name in stored if "/c/" in name)
    stored[second] = stored[first]

    with pytest.raises(Corrupt, match="does not hold versions"):
        await open_store(MemoryObjects(stored)).read(ORDER)


async def test_h5_a_head_whose_records_do_not_fill_it_is_corrupt() -> None:
    stored: dict[str, bytes] = {}
    await begin(open_store(MemoryObjects(stored)))
    name = head_name(ORDER)
    info, rest = unpack("head", stored[name], dict, name=name)
    stored[name] = pack("head", info, (rest + b"more",))

    with pytest.raises(Corrupt, match="bytes of records"):
        await open_store(MemoryObjects(stored)).read(ORDER)


def test_a_segment_that_lacks_entries_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="it has 1 entries, not 2"):
        decode_segment(pack("index", {"count": 2}, (b'["a",1,null]',)), name="ix/segments/a-1")


def test_a_segment_whose_entries_are_none_is_corrupt() -> None:
    with pytest.raises(Corrupt, match="ix/"):
        decode_segment(pack("index", {"count": 1}, (b'["a","not a version",null]',)), name="ix/segments/a-1")


async def test_an_index_goes_on_though_a_head_in_doubt_is_damaged() -> None:
    """Whoever reads that instance is told; the others are none the worse."""
    stored: dict[str, bytes] = {}
    clock = ManualClock()
    objects = GatedObjects(stored, "after", "put", "h/")
    store = indexed(objects, clock, 1)
    writing = asyncio.ensure_future(store.append(creation(ORDER)))
    await objects.is_there.wait()
    writing.cancel()
    await asyncio.wait({writing})
    stored[head_name(ORDER)] = b"garbage"

    await clock.advance(2)
    await begin(store, Key("another"))
    await clock.advance(3)

    assert [name for name in stored if name.startswith("ix/marks/")] == []


def test_a_text_with_a_lone_surrogate_has_no_name() -> None:
    with pytest.raises(Misuse, match="surrogate"):
        encode_part("a\ud800")


# ── chunks and purges at a bad moment ────────────────────────────────────────────────────────────────────────────────


async def _three_chunks(store: ObjectHistoryStore) -> int:
    await begin(store)
    for version in range(1, 80):
        await store.append(addition(ORDER, version, record=BIG if version < 6 else b"turn"))
    return 80


async def test_a_new_incarnation_deletes_the_chunks_of_the_one_that_ended() -> None:
    stored: dict[str, bytes] = {}
    store = open_store(MemoryObjects(stored))
    version = await _three_chunks(store)
    assert any("/c/" in name for name in stored)

    await store.append(creation(ORDER, "second", expected=version, turn_id="again"))

    assert [name for name in stored if "/c/" in name] == []


class NoDeletes(MemoryObjects):
    """A service that refuses deletes."""

    async def delete(self, names: object) -> None:
        raise Unavailable(f"throttled: {names}")


async def test_a_new_incarnation_is_there_though_the_old_chunks_cannot_be_deleted() -> None:
    """They are garbage, and the purge tries again."""
    stored: dict[str, bytes] = {}
    version = await _three_chunks(open_store(MemoryObjects(stored)))
    again = creation(ORDER, "second", expected=version, turn_id="again")

    assert await open_store(NoDeletes(stored)).append(again) == Committed(version + 1)
    await purge(open_store(MemoryObjects(stored)), ORDER, version + 1)

    assert [name for name in stored if "/c/" in name] == []


async def test_h4_a_look_back_that_meets_a_purge_is_unavailable_and_then_definite() -> None:
    """The chunk that would tell whose turn it was is deleted between the head and itself."""
    stored: dict[str, bytes] = {}
    clock = ManualClock()
    version = await _three_chunks(open_store(MemoryObjects(stored)))
    chunks = [name for name in stored if "/c/" in name]
    objects = GatedObjects(stored, "before", "get", chunks[0])
    asking = asyncio.ensure_future(open_store(objects, clock).append(addition(ORDER, 1)))
    await objects.is_there.wait()

    await purge(open_store(MemoryObjects(stored)), ORDER, version)
    objects.gate.set()

    with pytest.raises(Unavailable, match="went away"):
        await asking
    assert await open_store(MemoryObjects(stored)).append(addition(ORDER, 1)) == Conflict(version + 1)


async def test_h3_who_waits_in_the_same_process_is_told_at_once() -> None:
    clock = ManualClock()
    store = open_store(MemoryObjects({}), clock)
    await begin(store)
    token = (await read_head(store, ORDER)).token
    waiting = asyncio.ensure_future(store.changed(ORDER, token, 3600))
    await clock.advance(1)

    await store.append(addition(ORDER, 1))
    await clock.advance(0)

    assert waiting.done()
    assert waiting.result()


async def test_an_append_that_is_no_create_cannot_expect_nothing() -> None:
    with pytest.raises(Misuse, match="create=True"):
        await open_store(MemoryObjects({})).append(addition(ORDER, 0))


async def test_h3_a_read_that_meets_a_purge_reads_again() -> None:
    """Its chunk is gone, and the head is another one."""
    stored: dict[str, bytes] = {}
    version = await _three_chunks(open_store(MemoryObjects(stored)))
    objects = GatedObjects(stored, "before", "get", next(name for name in stored if "/c/" in name))
    reading = asyncio.ensure_future(open_store(objects).read(ORDER))
    await objects.is_there.wait()

    await purge(open_store(MemoryObjects(stored)), ORDER, version)
    objects.gate.set()

    assert await reading == Tombstone(version + 1, "first")
