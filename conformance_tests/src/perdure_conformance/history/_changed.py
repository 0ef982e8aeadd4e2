"""H3, waiting: `changed` tells of a change, soon, and of none when there is none."""

from __future__ import annotations

import asyncio

from perdure.spi import Token
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

__all__ = ["ChangedClauses"]


class ChangedClauses(Contract):
    """Waiting for a history to change."""

    async def test_h3_a_change_that_has_happened_already_is_told_at_once(self, harness: Harness) -> None:
        """It came between the read and the wait; waited for, it would cost the whole time."""
        store = await harness.open_store()
        await begin(store)
        token = (await read_head(store, ORDER)).token
        await store.append(addition(ORDER, 1))

        assert await harness.finish(store.changed(ORDER, token, 3600))

    async def test_h3_a_waiter_is_told_of_an_append_by_another_client(self, harness: Harness) -> None:
        """A client waits for the result that a worker elsewhere records."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        await begin(writer)
        waiting = harness.begin(waiter.changed(ORDER, (await read_head(waiter, ORDER)).token, 3600))
        await harness.let_time_pass(0.05)
        assert not waiting.done()

        await writer.append(addition(ORDER, 1))

        assert await harness.finish(waiting)

    async def test_h3_many_waiters_are_all_told(self, harness: Harness) -> None:
        """One notification, and everybody else waits until the time is over."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        await begin(writer)
        token = (await read_head(waiter, ORDER)).token
        waiting = [harness.begin(waiter.changed(ORDER, token, 3600)) for _ in range(5)]
        await harness.let_time_pass(0.05)

        await writer.append(addition(ORDER, 1))

        assert [await harness.finish(task) for task in waiting] == [True] * 5

    async def test_h3_a_waiter_for_a_key_that_is_not_there_is_told_of_its_creation(self, harness: Harness) -> None:
        """`None` is what a caller knows who has found nothing."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        waiting = harness.begin(waiter.changed(ORDER, None, 3600))
        await harness.let_time_pass(0.05)
        assert not waiting.done()

        await writer.append(creation(ORDER))

        assert await harness.finish(waiting)

    async def test_h3_a_waiter_is_told_of_a_purge(self, harness: Harness) -> None:
        """There will be no result any more; whoever waits for one must hear it."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        version = await begin(writer)
        waiting = harness.begin(waiter.changed(ORDER, (await read_head(waiter, ORDER)).token, 3600))
        await harness.let_time_pass(0.05)

        await purge(writer, ORDER, version)

        assert await harness.finish(waiting)

    async def test_h3_a_wait_ends_in_time_when_nothing_changes(self, harness: Harness) -> None:
        """The caller has other things to do."""
        store = await harness.open_store()
        await begin(store)
        token = (await read_head(store, ORDER)).token

        assert not await harness.finish(store.changed(ORDER, token, harness.moment))
        assert not await harness.finish(store.changed(ORDER, token, 0))

    async def test_h3_a_change_of_another_key_wakes_nobody_for_good(self, harness: Harness) -> None:
        """A waiter that is woken by everything polls at the pace of the whole hub."""
        store, writer = await harness.open_store(), await harness.open_store()
        await begin(store)
        waiting = harness.begin(store.changed(ORDER, (await read_head(store, ORDER)).token, harness.moment))
        await harness.let_time_pass(0)

        await writer.append(creation(type(ORDER)(ORDER + "/child")))

        assert not await harness.finish(waiting)

    async def test_h3_an_unknown_token_is_a_change(self, harness: Harness) -> None:
        """Tokens of an older release or another hub: reading once too often does no harm, waiting for ever does."""
        store = await harness.open_store()
        await begin(store)

        assert await harness.finish(store.changed(ORDER, Token("no such token"), 3600))

    async def test_h3_a_cancelled_wait_leaves_the_store_usable(self, harness: Harness) -> None:
        """Clients give up waiting all the time."""
        store, writer = await harness.open_store(), await harness.open_store()
        await begin(store)
        token = (await read_head(store, ORDER)).token
        waiting = harness.begin(store.changed(ORDER, token, 3600))
        await harness.let_time_pass(0.05)

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await writer.append(addition(ORDER, 1))

        assert waiting.cancelled()
        assert await harness.finish(store.changed(ORDER, token, 3600))
