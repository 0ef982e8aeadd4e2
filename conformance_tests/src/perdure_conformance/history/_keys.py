"""H7: instance ids are the users', and users write everything into them."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest

from perdure.spi import (
    Committed,
    Key,
    Missing,
    Misuse,
    PayloadScope,
    Query,
    StoredPayload,
    Tombstone,
    check_instance_id,
)
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import KEYS, ORDER, addition, begin, creation, listed, purge, read_head, summary

__all__ = ["KeyClauses"]


class KeyClauses(Contract):
    """Keys that paths, statements, patterns and case-insensitive systems mix up."""

    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
    async def test_h7_a_key_of_any_text_names_one_history(self, harness: Harness, key: Key) -> None:
        """Whatever is a valid instance id can be created, read, listed and purged."""
        store = await harness.open_store()
        assert check_instance_id(key) == key

        assert await store.append(creation(key, record=key.encode())) == Committed(version=1)
        assert await store.append(addition(key, 1)) == Committed(version=2)

        head = await read_head(await harness.open_store(), key)
        assert (head.key, head.summary.key, head.records[0].data) == (key, key, key.encode())
        await harness.let_time_pass(store.capabilities.scan_lag_seconds)
        assert await listed(store) == [key]
        assert await listed(store, Query(id_prefix=key)) == [key]
        tombstone = await purge(store, key, 2)
        assert await store.read(key) == Tombstone(version=tombstone, incarnation="first")

    async def test_h7_keys_do_not_touch_each_other(self, harness: Harness) -> None:
        """Each of them with its own record, its own payload, and its own place in a scan."""
        store = await harness.open_store()
        for number, key in enumerate(KEYS.values()):
            await store.append(creation(key, f"inc-{number}", record=b"record of %d" % number))
            await store.put_payload(StoredPayload(key, "in"), b"payload of %d" % number)

        await harness.let_time_pass(store.capabilities.scan_lag_seconds)

        assert await listed(store) == sorted(KEYS.values())
        for number, key in enumerate(KEYS.values()):
            head = await read_head(store, key)
            assert [record.data for record in head.records] == [b"record of %d" % number]
            assert head.summary.incarnation == f"inc-{number}"
            assert await store.get_payload(StoredPayload(key, "in")) == b"payload of %d" % number
            assert [found async for found in store.payloads(PayloadScope(key))] == [StoredPayload(key, "in")]

    async def test_h7_purging_one_key_leaves_every_other_alone(self, harness: Harness) -> None:
        """Deleting by a prefix or a pattern takes the neighbours along."""
        store = await harness.open_store()
        for key in KEYS.values():
            await begin(store, key)
            await store.put_payload(StoredPayload(key, "in"), b"here")
        left = sorted(KEYS.values())

        while left:
            await purge(store, left.pop(0), 1)  # In ascending order: each goes before those that it is a prefix of.
            await harness.let_time_pass(store.capabilities.scan_lag_seconds)
            assert await listed(store) == left
            for key in left:
                assert await store.get_payload(StoredPayload(key, "in")) == b"here"

    async def test_h7_appends_to_neighbours_do_not_conflict(self, harness: Harness) -> None:
        """`a` and `A`, or `a` and `a/b`, have versions of their own."""
        store = await harness.open_store()
        for key in KEYS.values():
            await begin(store, key)

        for key in KEYS.values():
            assert await store.append(addition(key, 1)) == Committed(version=2)

    async def test_h7_a_neighbour_of_a_key_that_exists_is_missing(self, harness: Harness) -> None:
        """Nothing is created by creating what looks the same."""
        store = await harness.open_store()
        await begin(store, KEYS["composed"])
        await begin(store, KEYS["one letter"])

        neighbours = ["decomposed", "the same letter, upper case", "below another", "slash at the end", "plain"]
        for label in neighbours:
            assert await store.read(KEYS[label]) == Missing(), label

    async def test_h7_the_summary_of_another_instance_is_not_taken_for_ones_own(self, harness: Harness) -> None:
        """Mixed up by a bug of the caller, it would show an instance that nobody created, and hide one that is there.

        Refused or passed over: either is right.
        """
        store = await harness.open_store()
        for append in (creation(ORDER), addition(ORDER, 1)):
            with suppress(Misuse):
                await store.append(msgspec.structs.replace(append, summary=summary("another")))

        await harness.let_time_pass(store.capabilities.scan_lag_seconds)
        assert "another" not in await listed(store)
