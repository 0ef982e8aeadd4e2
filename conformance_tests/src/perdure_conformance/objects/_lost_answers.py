"""O4: what a put has done is what its answer says, and where there was none the identical put finds out."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Absent, Misuse, PreconditionFailed
from perdure_conformance.objects._harness import HEAD, ObjectsClauses, ObjectsHarness, put, read

__all__ = ["LostPutClauses"]


class LostPutClauses(ObjectsClauses):
    """Puts that fail, are cancelled, or are repeated."""

    async def test_o4_a_refused_put_does_not_happen_later(self, harness: ObjectsHarness) -> None:
        """Nobody tries it again behind the caller's back, when the condition holds again."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        first = await put(objects, b"first")
        await put(other, b"second")
        assert await objects.put(HEAD, b"refused", if_match=first) == PreconditionFailed()

        await other.delete([HEAD])
        await put(other, b"first", if_absent=True)
        await objects.aclose()

        assert (await read(other)).data == b"first"

    async def test_o4_a_put_that_was_cancelled_happens_whole_or_not_at_all(self, harness: ObjectsHarness) -> None:
        """And the identical put under the identical condition settles which, as whoever repeats a turn does."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        etag = await put(objects, b"turn 0")
        for turn in range(1, 16):
            data = b"turn %d" % turn * 1000
            before = (await read(other)).data
            task = asyncio.create_task(objects.put(HEAD, data, if_match=etag))
            for _ in range(turn - 1):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert (await read(other)).data in {before, data}

            await objects.put(HEAD, data, if_match=etag)

            found = await read(other)
            assert found.data == data
            etag = found.etag

    async def test_o4_the_same_put_from_eight_at_once_leaves_its_bytes(self, harness: ObjectsHarness) -> None:
        """A request that was sent again overtakes itself. Some may be told that the condition failed, not all."""
        clients = [await harness.open_objects() for _ in range(8)]
        etag = await put(clients[0], b"old")

        outcomes = await asyncio.gather(*(client.put(HEAD, b"new", if_match=etag) for client in clients))

        found = await read(clients[0])
        assert found.data == b"new"
        assert {outcome for outcome in outcomes if not isinstance(outcome, PreconditionFailed)} == {found.etag}

    async def test_o4_a_put_again_after_others_went_on_changes_nothing(self, harness: ObjectsHarness) -> None:
        """Its answer was lost; meanwhile two more turns were written."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        etag = await put(objects, b"turn 0")
        mine = await put(objects, b"turn 1", if_match=etag)
        await put(other, b"turn 2", if_match=mine)

        assert await objects.put(HEAD, b"turn 1", if_match=etag) == PreconditionFailed()
        assert (await read(other)).data == b"turn 2"

    async def test_o4_a_put_that_is_a_misuse_does_not_happen(self, harness: ObjectsHarness) -> None:
        """Refused before anything was sent."""
        objects = await harness.open_objects()

        with pytest.raises(Misuse):
            await objects.put("No/Name", b"x")

        assert await objects.get(HEAD) == Absent()
        assert [name async for name in objects.list("")] == []
