"""What is stored: every release reads what any earlier one wrote (golden files), and says so when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_conformance.material import KEYS, addition, begin, creation, listed, read_head

from perdure.spi import (
    Corrupt,
    Environment,
    Key,
    MemoryObjects,
    ObjectHistoryStore,
    Query,
    StoredPayload,
    Tombstone,
    TooNew,
    check_object_name,
    encode_part,
)
from perdure.spi.object_history._names import decode_part, head_name
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parent / "golden"
ORDER, GONE = Key("order/4711 🦆"), Key("gone")


def open_store(stored: dict[str, bytes]) -> ObjectHistoryStore:
    return ObjectHistoryStore(MemoryObjects(stored), Environment(ManualClock(), SeededEntropy(1)))


async def write_everything() -> dict[str, bytes]:
    """Write one object of each kind."""
    stored: dict[str, bytes] = {}
    store = open_store(stored)
    await store.append(creation(ORDER, record=b'{"turn":0}', tags={"shop": "north"}))
    await store.append(addition(ORDER, 1, turn_id="two", record=b"x" * 40_000))
    await store.append(addition(ORDER, 2, turn_id="three", record=b"y" * 40_000, status="Completed"))
    await begin(store, GONE)
    await store.purge(GONE, 1)
    await store.put_payload(StoredPayload(ORDER, "first/in"), b"\x00payload")
    return stored


async def write_index() -> dict[str, bytes]:
    """Write a base, a segment with a tombstone, and a mark; give the index only."""
    stored: dict[str, bytes] = {}
    clock = ManualClock()
    store = ObjectHistoryStore(MemoryObjects(stored), Environment(clock, SeededEntropy(1)), index_seconds=1)
    await store.append(creation(ORDER, tags={"shop": "north"}, next_due=1_700_000_060.5, parent="basket"))
    await begin(store, GONE)
    await clock.advance(3)
    assert await listed(store) == [GONE, ORDER]
    await store.append(addition(ORDER, 1, status="Completed"))
    await store.purge(GONE, 1)
    await clock.advance(1)
    return {name: data for name, data in stored.items() if name.startswith("ix/")}


def golden() -> dict[str, bytes]:
    return {path.relative_to(GOLDEN).as_posix(): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}


async def test_this_release_writes_the_golden_files() -> None:
    """A change here is a change of the format: raise `FORMAT`, keep the old files, and write new ones beside them."""
    assert await write_everything() | await write_index() == golden()


async def test_the_golden_files_are_read() -> None:
    store = open_store(golden())

    head = await read_head(store, ORDER)

    assert [(r.version, r.turn_id, len(r.data)) for r in head.records] == [
        (1, "create", 10),
        (2, "two", 40_000),
        (3, "three", 40_000),
    ]
    assert (head.summary.status, head.summary.key) == ("Completed", ORDER)
    assert await store.read(GONE) == Tombstone(2, "first")
    assert await store.get_payload(StoredPayload(ORDER, "first/in")) == b"\x00payload"


async def test_the_golden_index_is_read_without_any_head() -> None:
    """Of the order it knows the second turn, of the other one that it was purged."""
    clock = ManualClock()
    files = {name: data for name, data in golden().items() if name.startswith("ix/") and "/marks/" not in name}
    store = ObjectHistoryStore(MemoryObjects(files), Environment(clock, SeededEntropy(2)), index_seconds=1)

    (summary,) = [found async for found in store.scan(Query())]

    assert summary == addition(ORDER, 1, status="Completed").summary


async def test_an_index_of_a_newer_format_is_too_new_and_stays() -> None:
    stored = await write_index()
    stored["ix/base"] = stored["ix/base"].replace(b"perdure index 1 ", b"perdure index 2 ", 1)
    stored = {name: data for name, data in stored.items() if "/marks/" not in name}
    before = dict(stored)
    store = ObjectHistoryStore(MemoryObjects(stored), Environment(ManualClock(), SeededEntropy(2)), index_seconds=1)

    with pytest.raises(TooNew, match="format 2"):
        await listed(store)

    assert stored == before


async def test_a_head_of_a_newer_format_is_too_new_and_stays() -> None:
    stored = await write_everything()
    name = head_name(ORDER)
    stored[name] = stored[name].replace(b"perdure head 1 ", b"perdure head 2 ", 1)
    before = dict(stored)

    with pytest.raises(TooNew, match="format 2"):
        await open_store(stored).read(ORDER)
    with pytest.raises(TooNew, match="format 2"):
        await open_store(stored).append(addition(ORDER, 3))

    assert stored == before


@pytest.mark.parametrize("step", [1, 997])
async def test_a_head_with_any_damaged_byte_is_corrupt_or_too_new(step: int) -> None:
    stored = await write_everything()
    name, whole = head_name(ORDER), stored[head_name(ORDER)]
    places = range(900) if step == 1 else range(900, len(whole), step)

    for place in places:
        stored[name] = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises((Corrupt, TooNew)):
            await open_store(stored).read(ORDER)


@pytest.mark.parametrize("length", [0, 5, 24, 100, 1000])
async def test_a_head_that_was_cut_off_is_corrupt(length: int) -> None:
    stored = await write_everything()
    stored[head_name(ORDER)] = stored[head_name(ORDER)][:length]

    with pytest.raises(Corrupt):
        await open_store(stored).read(ORDER)


async def test_a_chunk_that_is_missing_or_another_is_corrupt() -> None:
    stored = await write_everything()
    (name,) = [name for name in stored if "/c/" in name]
    other = stored[head_name(ORDER)].replace(b"perdure head", b"perdure chunk", 1)

    for damaged in (stored | {name: other}, {key: value for key, value in stored.items() if key != name}):
        with pytest.raises(Corrupt, match="c/0"):
            await open_store(damaged).read(ORDER)


async def test_a_head_under_another_key_is_corrupt() -> None:
    """A file that was copied by hand must not become somebody else's history."""
    stored = await write_everything()
    stored[head_name("other")] = stored[head_name(ORDER)]

    with pytest.raises(Corrupt, match="order/4711"):
        await open_store(stored).read(Key("other"))


def _names(texts: Mapping[str, Key]) -> list[str]:
    return [encode_part(text) for text in texts.values()]


def test_awkward_keys_have_names_of_their_own_that_every_service_takes() -> None:
    names = _names(KEYS)

    assert len(set(names)) == len(KEYS)
    assert [check_object_name(name) for name in names] == names
    assert max(len(head_name(key)) for key in KEYS.values()) < 255


@given(one=st.text(alphabet=st.characters(exclude_categories=["Cs"])), two=st.text("aA/._-\u00e4", max_size=4))
def test_names_are_injective_and_can_be_read_back(one: str, two: str) -> None:
    assert (encode_part(one) == encode_part(two)) == (one == two)
    assert decode_part(encode_part(one)) in {one, None}
    assert check_object_name(head_name(one)) == head_name(one)
