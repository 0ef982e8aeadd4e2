"""H1 and H2: what was committed stays, and of rivals one wins."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Committed, Conflict, Key, Missing, Misuse
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

__all__ = ["AppendClauses"]

WRITERS = 16


class AppendClauses(Contract):
    """Appending, alone and against others."""

    async def test_h1_a_committed_record_is_there_for_a_client_that_opens_later(self, harness: Harness) -> None:
        """The worker that goes on after a crash is another process."""
        writer = await harness.open_store()
        await begin(writer, records=2)

        later = await harness.open_store()

        assert (await read_head(later, ORDER)).version == 2

    async def test_h1_a_committed_record_outlives_the_client_that_wrote_it(self, harness: Harness) -> None:
        """Durable means: not in the writer's memory, nor in a buffer that its end would lose."""
        keeper, writer = await harness.open_store(), await harness.open_store()
        await begin(writer, records=3)

        await writer.aclose()

        for reader in (keeper, await harness.open_store()):
            assert [record.version for record in (await read_head(reader, ORDER)).records] == [1, 2, 3]

    async def test_h1_a_client_may_be_closed_twice(self, harness: Harness) -> None:
        """Whoever cleans up after an error does not know what is closed already."""
        keeper, store = await harness.open_store(), await harness.open_store()
        await begin(store)

        await store.aclose()
        await store.aclose()

        for reader in (keeper, await harness.open_store()):
            assert (await read_head(reader, ORDER)).version == 1

    async def test_h1_the_summary_of_the_last_append_is_kept_with_it(self, harness: Harness) -> None:
        """A status that lags behind its record would show a closed instance as running for ever."""
        writer = await harness.open_store()
        await begin(writer)
        last = addition(ORDER, 1, status="Completed", custom_status="paid", tags={"shop": "north"})

        await writer.append(last)

        assert (await read_head(await harness.open_store(), ORDER)).summary == last.summary

    async def test_h2_an_append_at_the_version_that_is_there_is_committed(self, harness: Harness) -> None:
        """The usual case: nobody else was here."""
        store = await harness.open_store()
        await begin(store)

        assert await store.append(addition(ORDER, 1)) == Committed(version=2)

    async def test_h2_of_two_appends_with_one_expectation_one_wins(self, harness: Harness) -> None:
        """Two workers have run the same turn from the same history: only one outbox may go out."""
        first, second = await harness.open_store(), await harness.open_store()
        await begin(first)

        won = await first.append(addition(ORDER, 1, turn_id="first", record=b"by the first"))
        lost = await second.append(addition(ORDER, 1, turn_id="second", record=b"by the second"))

        assert (won, lost) == (Committed(version=2), Conflict(version=2))
        assert [record.data for record in (await read_head(second, ORDER)).records] == [b"created", b"by the first"]

    async def test_h2_a_conflict_changes_nothing(self, harness: Harness) -> None:
        """Not the summary either: it would tell of a turn that never happened."""
        store = await harness.open_store()
        await begin(store, records=2)
        before = await read_head(store, ORDER)

        await store.append(addition(ORDER, 1, turn_id="late", status="Failed"))

        after = await read_head(store, ORDER)
        assert (after.records, after.summary, after.token) == (before.records, before.summary, before.token)

    @pytest.mark.parametrize("expected", [0, 1, 2, 4, 100])
    async def test_h2_any_other_expectation_is_a_conflict_that_names_the_version(
        self, harness: Harness, expected: int
    ) -> None:
        """An older one is stale, and a newer one was never true; 0 means that the caller thinks there is nothing."""
        store = await harness.open_store()
        await begin(store, records=3)
        late = creation(ORDER, "second") if expected == 0 else addition(ORDER, expected, turn_id="late")

        assert await store.append(late) == Conflict(version=3)

    async def test_h2_an_append_to_nothing_is_a_conflict(self, harness: Harness) -> None:
        """A worker with a stale cache must not bring back what a store has forgotten."""
        store = await harness.open_store()

        assert await store.append(addition(ORDER, 7)) == Conflict(version=0)
        assert await store.read(ORDER) == Missing()

    async def test_h2_of_sixteen_writers_one_wins_each_version(self, harness: Harness) -> None:
        """The race itself, many times over, each writer through a client of its own."""
        stores = [await harness.open_store() for _ in range(WRITERS)]
        await begin(stores[0])

        for expected in range(1, 11):
            rivals = [addition(ORDER, expected, turn_id=f"{expected}-{who}") for who in range(WRITERS)]
            outcomes = await asyncio.gather(*(s.append(rival) for s, rival in zip(stores, rivals, strict=True)))
            winners = [r.turn_id for r, o in zip(rivals, outcomes, strict=True) if isinstance(o, Committed)]
            assert len(winners) == 1
            assert outcomes.count(Conflict(version=expected + 1)) == WRITERS - 1
            assert (await read_head(stores[-1], ORDER)).records[-1].turn_id == winners[0]

    async def test_h2_writers_that_read_and_try_again_lose_no_update(self, harness: Harness) -> None:
        """Every worker behaves so after a conflict: in the end each one's record is there, once."""
        stores = [await harness.open_store() for _ in range(8)]
        await begin(stores[0])

        async def add_three(who: int) -> None:
            added = 0
            while added < 3:
                head = await read_head(stores[who], ORDER)
                attempt = addition(ORDER, head.version, turn_id=f"{who}-{added}-{head.version}", record=b"%d" % who)
                added += isinstance(await stores[who].append(attempt), Committed)

        await asyncio.gather(*(add_three(who) for who in range(8)))

        records = (await read_head(stores[0], ORDER)).records
        assert [record.version for record in records] == list(range(1, 26))
        assert sorted(record.data for record in records[1:]) == sorted(b"%d" % who for who in range(8) for _ in "abc")

    async def test_h2_of_sixteen_creations_of_one_key_one_wins(self, harness: Harness) -> None:
        """Sixteen clients start the same order at once: one instance, and fifteen who are told so."""
        stores = [await harness.open_store() for _ in range(WRITERS)]
        rivals = [creation(ORDER, f"by-{who}", turn_id=f"create-{who}") for who in range(WRITERS)]

        outcomes = await asyncio.gather(*(s.append(rival) for s, rival in zip(stores, rivals, strict=True)))

        winners = [r for r, o in zip(rivals, outcomes, strict=True) if o == Committed(version=1)]
        assert len(winners) == 1
        assert outcomes.count(Conflict(version=1)) == WRITERS - 1
        assert (await read_head(stores[0], ORDER)).summary == winners[0].summary

    async def test_h2_appends_to_different_keys_all_win(self, harness: Harness) -> None:
        """A store that takes one lock too many still has to commit them all."""
        stores = [await harness.open_store() for _ in range(WRITERS)]
        keys = [Key(f"order-{number}") for number in range(WRITERS)]

        outcomes = await asyncio.gather(*(s.append(creation(key)) for s, key in zip(stores, keys, strict=True)))

        assert outcomes == [Committed(version=1)] * WRITERS

    @pytest.mark.parametrize("version", [2, 1])
    async def test_h2_a_version_that_is_not_above_the_expected_one_is_refused(
        self, harness: Harness, version: int
    ) -> None:
        """A version that is used twice would let a stale writer's condition hold."""
        store = await harness.open_store()
        await begin(store, records=2)

        with pytest.raises(Misuse):
            await store.append(addition(ORDER, 2, becomes=version))

        assert (await read_head(store, ORDER)).version == 2

    async def test_h2_a_new_incarnation_takes_the_place_of_a_closed_one_under_a_higher_version(
        self, harness: Harness
    ) -> None:
        """Replacing an instance is one conditional write; between purge and create somebody else could step in."""
        store = await harness.open_store()
        closed = await begin(store, records=3, status="Completed")

        outcome = await store.append(creation(ORDER, "second", turn_id="again", expected=closed, becomes=1_000_000))

        head = await read_head(store, ORDER)
        assert outcome == Committed(version=1_000_000)
        assert (head.version, head.summary.incarnation) == (1_000_000, "second")
        assert [record.version for record in head.records] == [1_000_000]

    async def test_h2_a_writer_of_the_replaced_incarnation_meets_a_conflict(self, harness: Harness) -> None:
        """A worker that slept through the replacement must not write into the new instance's history."""
        store = await harness.open_store()
        closed = await begin(store, records=2)
        await store.append(creation(ORDER, "second", turn_id="again", expected=closed))

        assert await store.append(addition(ORDER, closed, turn_id="zombie")) == Conflict(version=3)

    async def test_h2_continue_as_new_goes_on_counting(self, harness: Harness) -> None:
        """If versions began anew, the writer of an old execution could find its expectation true again."""
        store = await harness.open_store()
        await begin(store, records=2)

        outcomes = [await store.append(addition(ORDER, 2 + number, execution=number)) for number in range(3)]

        assert outcomes == [Committed(version=3), Committed(version=4), Committed(version=5)]

    async def test_h2_versions_are_not_used_again_after_a_purge(self, harness: Harness) -> None:
        """A worker that still holds version 3 of the purged instance must fail, whatever was created since."""
        store = await harness.open_store()
        last = await begin(store, records=3)
        tombstone = await purge(store, ORDER, last)

        await store.append(creation(ORDER, "second", turn_id="again", expected=tombstone))

        assert (await read_head(store, ORDER)).version > tombstone > last
        assert isinstance(await store.append(addition(ORDER, last, turn_id="zombie")), Conflict)
