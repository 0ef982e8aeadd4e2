"""H3, waiting for a result: `ended` tells of the end of an instance, and may let everything else pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Key
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, Token

__all__ = ["EndedClauses"]


class EndedClauses(Contract):
    """Waiting for an instance to end."""

    async def test_h3_an_end_that_was_there_already_is_told_at_once(self, harness: Harness) -> None:
        """Most results are asked for after they are there."""
        store = await harness.open_store()
        await begin(store)
        await store.append(addition(ORDER, 1, status="Completed"))

        assert await harness.finish(store.ended(ORDER, None, 3600))

    async def test_h3_who_waits_is_told_of_an_end_that_another_client_records(self, harness: Harness) -> None:
        """Turns that leave the instance open come before it: they may wake, and must not be all that does."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        await begin(writer)
        known = await read_head(waiter, ORDER)
        waiting = harness.begin(_until_closed(waiter, known.token))
        await harness.let_time_pass(0.05)
        for expected in (1, 2):
            await writer.append(addition(ORDER, expected))
            await harness.let_time_pass(0.05)
        assert not waiting.done()

        await writer.append(addition(ORDER, 3, status="Failed"))

        assert (await harness.finish(waiting)) == "Failed"

    async def test_h3_who_waits_for_an_end_is_told_of_a_purge(self, harness: Harness) -> None:
        """There will be no result any more; whoever waits for one must hear it."""
        waiter, writer = await harness.open_store(), await harness.open_store()
        version = await begin(writer)
        waiting = harness.begin(waiter.ended(ORDER, (await read_head(waiter, ORDER)).token, 3600))
        await harness.let_time_pass(0.05)

        await purge(writer, ORDER, version)

        assert await harness.finish(waiting)

    async def test_h3_an_instance_that_is_not_there_is_not_waited_for(self, harness: Harness) -> None:
        """Purged, or never there: the caller finds out by reading."""
        store = await harness.open_store()

        assert await harness.finish(store.ended(Key("nobody"), None, 3600))

    async def test_h3_waiting_for_an_end_ends_in_time(self, harness: Harness) -> None:
        """The caller has other things to do."""
        store = await harness.open_store()
        await begin(store)
        token = (await read_head(store, ORDER)).token

        assert not await harness.finish(store.ended(ORDER, token, harness.moment))
        assert not await harness.finish(store.ended(ORDER, token, 0))

    async def test_h3_the_end_of_another_instance_is_no_end(self, harness: Harness) -> None:
        """A waiter that takes it for its own reads at the pace of the whole hub."""
        store, writer = await harness.open_store(), await harness.open_store()
        await begin(store)
        other = Key(ORDER + "/child")
        await writer.append(creation(other))
        token = (await read_head(store, ORDER)).token
        waiting = harness.begin(store.ended(ORDER, token, harness.moment))
        await harness.let_time_pass(0)

        await writer.append(addition(other, 1, status="Completed"))

        assert not await harness.finish(waiting)


async def _until_closed(store: HistoryStore, token: Token) -> str:
    """Wait as a client does, which reads whenever it is told."""
    while True:
        assert await store.ended(ORDER, token, 3600)
        head = await read_head(store, ORDER)
        if head.summary.is_closed:
            return head.summary.status
        token = head.token
