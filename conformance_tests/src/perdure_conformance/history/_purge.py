"""H6: what was purged stays purged."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Committed, Conflict, Corrupt, Key, Missing, PayloadScope, Purged, StoredPayload, Tombstone
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, listed, purge, read_head

__all__ = ["PurgeClauses"]


class PurgeClauses(Contract):
    """Purging, and who comes too late."""

    async def test_h6_a_purge_leaves_a_tombstone_that_knows_the_last_version_and_the_incarnation(
        self, harness: Harness
    ) -> None:
        """Without it the condition of a late create would hold again."""
        store = await harness.open_store()
        await begin(store, records=3)

        outcome = await store.purge(ORDER, 3)

        assert isinstance(outcome, Purged)
        assert outcome.version > 3
        found = await (await harness.open_store()).read(ORDER)
        assert found == Tombstone(version=outcome.version, incarnation="first")

    async def test_h6_a_late_append_to_a_purged_key_is_a_conflict(self, harness: Harness) -> None:
        """A worker that slept through the purge would otherwise bring the instance back to life."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=2))

        for expected in (1, 2):
            late = addition(ORDER, expected, turn_id=f"late-{expected}")
            assert await store.append(late) == Conflict(version=tombstone)
        assert await store.read(ORDER) == Tombstone(version=tombstone, incarnation="first")

    async def test_h6_an_append_that_is_no_create_never_follows_a_tombstone(self, harness: Harness) -> None:
        """Even at the tombstone's own version: there is no history that it could belong to."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store))

        assert isinstance(await store.append(addition(ORDER, tombstone)), Conflict)
        assert isinstance(await store.read(ORDER), Tombstone)

    async def test_h6_a_create_that_knows_no_tombstone_is_a_conflict(self, harness: Harness) -> None:
        """It was decided before the purge; `0` says that there was never anything."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store))

        assert await store.append(creation(ORDER, "second", turn_id="again")) == Conflict(version=tombstone)

    async def test_h6_a_create_that_knows_the_tombstone_begins_a_new_incarnation(self, harness: Harness) -> None:
        """Ids may be used again; nothing of the old instance shows."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=5, tags={"old": "yes"}))

        again = creation(ORDER, "second", turn_id="again", expected=tombstone, record=b"anew")
        assert await store.append(again) == Committed(version=tombstone + 1)

        head = await read_head(store, ORDER)
        assert [record.data for record in head.records] == [b"anew"]
        assert head.summary == again.summary

    async def test_h6_a_purge_again_is_purged_with_the_same_tombstone(self, harness: Harness) -> None:
        """Its answer was lost; the sweeper asks again."""
        store, other = await harness.open_store(), await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=2))

        assert await store.purge(ORDER, 2) == Purged(version=tombstone)
        assert await other.purge(ORDER, 2) == Purged(version=tombstone)

    async def test_h6_a_purge_at_another_version_is_a_conflict_and_deletes_nothing(self, harness: Harness) -> None:
        """The instance went on, or was never there yet: what is in it now was not looked at."""
        store = await harness.open_store()
        await begin(store, records=3)

        for expected in (1, 2, 4):
            assert await store.purge(ORDER, expected) == Conflict(version=3)
        assert len((await read_head(store, ORDER)).records) == 3

    async def test_h6_a_purge_of_a_tombstone_at_another_version_is_a_conflict(self, harness: Harness) -> None:
        """Purged it is, but not by this purge and not what this purge has seen."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=3))

        assert await store.purge(ORDER, 1) == Conflict(version=tombstone)

    async def test_h6_a_purge_of_nothing_is_missing(self, harness: Harness) -> None:
        """And leaves no tombstone: that would take an id away from everybody."""
        store = await harness.open_store()

        assert await store.purge(ORDER, 1) == Missing()
        assert await store.read(ORDER) == Missing()

    async def test_h6_a_late_purge_spares_the_new_incarnation(self, harness: Harness) -> None:
        """A sweeper that fell asleep wakes when the id is in use again."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=2))
        await store.append(creation(ORDER, "second", turn_id="again", expected=tombstone))

        assert await store.purge(ORDER, 2) == Conflict(version=tombstone + 1)
        assert (await read_head(store, ORDER)).summary.incarnation == "second"

    async def test_h6_a_purge_deletes_payloads_of_this_key_only(self, harness: Harness) -> None:
        """People purge because they must: the invoice itself is in the payload."""
        store = await harness.open_store()
        mine, theirs = StoredPayload(ORDER, "first/in"), StoredPayload(Key(ORDER + "1"), "first/in")
        version = await begin(store)
        for payload in (mine, theirs):
            await store.put_payload(payload, b"invoice")

        await purge(store, ORDER, version)

        assert [found async for found in store.payloads(PayloadScope(ORDER))] == []
        with pytest.raises(Corrupt):
            await store.get_payload(mine)
        assert await store.get_payload(theirs) == b"invoice"

    async def test_h6_purged_instances_are_not_scanned(self, harness: Harness) -> None:
        """A tombstone is not an instance."""
        store = await harness.open_store()
        version = await begin(store)
        await begin(store, Key("stays"))
        await purge(store, ORDER, version)

        await harness.let_time_pass(store.capabilities.scan_lag_seconds)

        assert await listed(store) == ["stays"]

    async def test_h6_of_a_purge_and_an_append_at_one_version_one_wins(self, harness: Harness) -> None:
        """The sweeper and a control operation meet. If both won, one of them would have lied to its caller."""
        sweeper, writer = await harness.open_store(), await harness.open_store()

        for number in range(20):
            key = Key(f"order-{number}")
            await begin(sweeper, key)
            calls = sweeper.purge(key, 1), writer.append(addition(key, 1))
            purged, appended = await asyncio.gather(*calls)
            assert isinstance(purged, Purged) != isinstance(appended, Committed)
            found = await sweeper.read(key)
            assert isinstance(found, Tombstone) == isinstance(purged, Purged)

    async def test_h6_of_sixteen_creations_on_a_tombstone_one_wins(self, harness: Harness) -> None:
        """Everybody waited for the id to become free."""
        stores = [await harness.open_store() for _ in range(16)]
        tombstone = await purge(stores[0], ORDER, await begin(stores[0]))
        rivals = [creation(ORDER, f"by-{n}", turn_id=f"create-{n}", expected=tombstone) for n in range(16)]

        outcomes = await asyncio.gather(*(s.append(rival) for s, rival in zip(stores, rivals, strict=True)))

        assert [type(outcome) for outcome in outcomes].count(Committed) == 1

    async def test_h6_an_id_can_be_purged_and_created_many_times(self, harness: Harness) -> None:
        """Every version is above all that were before, over the whole life of the id."""
        store = await harness.open_store()
        seen = [0]

        for number in range(10):
            await store.append(creation(ORDER, f"life-{number}", turn_id=f"create-{number}", expected=seen[-1]))
            version = (await read_head(store, ORDER)).version
            seen += [version, await purge(store, ORDER, version)]

        assert seen == sorted(set(seen))
