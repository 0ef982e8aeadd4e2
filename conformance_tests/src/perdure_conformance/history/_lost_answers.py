"""H4: whoever got no answer asks again, with the same bytes, and is told what happened."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Committed, Conflict, Tombstone
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

__all__ = ["LostAnswerClauses"]


class LostAnswerClauses(Contract):
    """Appending again what may have been appended already."""

    async def test_h4_the_same_append_again_is_committed_and_is_no_second_record(self, harness: Harness) -> None:
        """The answer was lost after the effect. Taken for a conflict, its outbox would never be sent."""
        store, again = await harness.open_store(), await harness.open_store()
        await begin(store)
        append = addition(ORDER, 1)

        outcomes = [await store.append(append), await again.append(append), await store.append(append)]

        assert outcomes == [Committed(version=2)] * 3
        assert [record.turn_id for record in (await read_head(store, ORDER)).records] == ["create", append.turn_id]

    async def test_h4_my_append_is_found_after_others_have_built_on_it(self, harness: Harness) -> None:
        """Another worker may have gone on from my record before I ask again."""
        store, other = await harness.open_store(), await harness.open_store()
        await begin(store)
        mine = addition(ORDER, 1, turn_id="mine")
        await store.append(mine)
        for expected in range(2, 12):
            await other.append(addition(ORDER, expected, execution=expected))

        assert await store.append(mine) == Committed(version=2)
        assert (await read_head(store, ORDER)).version == 12

    async def test_h4_another_turn_in_my_place_is_a_conflict(self, harness: Harness) -> None:
        """Same expectation, same bytes, but another attempt: whose outbox goes out is decided by the turn id."""
        store = await harness.open_store()
        await begin(store)
        await store.append(addition(ORDER, 1, turn_id="theirs"))

        assert await store.append(addition(ORDER, 1, turn_id="mine")) == Conflict(version=2)

    async def test_h4_a_turn_id_counts_only_where_the_append_would_have_been(self, harness: Harness) -> None:
        """Found elsewhere in the history it proves nothing about this append."""
        store = await harness.open_store()
        await begin(store)
        await store.append(addition(ORDER, 1, turn_id="one"))
        await store.append(addition(ORDER, 2, turn_id="two"))

        assert await store.append(addition(ORDER, 1, turn_id="two")) == Conflict(version=3)

    async def test_h4_the_same_append_from_eight_clients_at_once_is_one_record(self, harness: Harness) -> None:
        """A request that was sent again overtakes itself."""
        stores = [await harness.open_store() for _ in range(8)]
        await begin(stores[0])
        append = addition(ORDER, 1)

        outcomes = await asyncio.gather(*(store.append(append) for store in stores))

        assert outcomes == [Committed(version=2)] * 8
        assert [record.version for record in (await read_head(stores[0], ORDER)).records] == [1, 2]

    async def test_h4_a_cancelled_append_can_be_repeated_until_it_is_definite(self, harness: Harness) -> None:
        """A worker that is stopped in the middle of an append leaves it either done or not, never half done."""
        store = await harness.open_store()
        await begin(store)

        for number in range(12):
            append = addition(ORDER, 1 + number)
            task = asyncio.create_task(store.append(append))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await store.append(append) == Committed(version=2 + number)

        assert [record.version for record in (await read_head(store, ORDER)).records] == list(range(1, 14))

    async def test_h4_a_create_again_is_committed_though_the_instance_has_gone_on(self, harness: Harness) -> None:
        """The client's `start` lost its answer; meanwhile the orchestration is on its fourth turn."""
        store = await harness.open_store()
        await begin(store, records=4)

        assert await store.append(creation(ORDER)) == Committed(version=1)
        assert (await read_head(store, ORDER)).version == 4

    @pytest.mark.parametrize("expected", [0, 3])
    async def test_h4_a_create_is_recognised_by_its_incarnation_whoever_repeats_it(
        self, harness: Harness, expected: int
    ) -> None:
        """Two workers send the same parent's outbox: two turn ids, one child."""
        store = await harness.open_store()
        await begin(store, records=3)
        again = creation(ORDER, "first", turn_id="another worker's", expected=expected, becomes=99)

        assert await store.append(again) == Committed(version=1)
        assert (await read_head(store, ORDER)).version == 3

    async def test_h4_a_create_again_after_the_purge_creates_nothing(self, harness: Harness) -> None:
        """The answer was lost, the instance ran, ended and was purged: run again, it would charge the card twice."""
        store = await harness.open_store()
        tombstone = await purge(store, ORDER, await begin(store, records=2))

        outcomes = [
            await store.append(creation(ORDER)),
            await store.append(creation(ORDER, turn_id="another", expected=tombstone)),
        ]

        assert all(isinstance(outcome, Committed) for outcome in outcomes)
        assert await store.read(ORDER) == Tombstone(version=tombstone, incarnation="first")

    async def test_h4_a_create_again_after_a_replacement_is_a_conflict(self, harness: Harness) -> None:
        """The id belongs to a later incarnation by now; a late create must not displace it."""
        store = await harness.open_store()
        closed = await begin(store, records=2)
        await store.append(creation(ORDER, "second", turn_id="again", expected=closed))

        assert await store.append(creation(ORDER, "first")) == Conflict(version=3)
        assert (await read_head(store, ORDER)).summary.incarnation == "second"

    async def test_h4_the_same_create_from_eight_clients_at_once_is_one_instance(self, harness: Harness) -> None:
        """Eight workers send one parent's outbox, each with a turn id of its own."""
        stores = [await harness.open_store() for _ in range(8)]

        outcomes = await asyncio.gather(
            *(store.append(creation(ORDER, turn_id=f"by-{who}")) for who, store in enumerate(stores))
        )

        assert outcomes == [Committed(version=1)] * 8
        assert len((await read_head(stores[0], ORDER)).records) == 1
