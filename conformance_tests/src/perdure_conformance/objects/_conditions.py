"""O2: of all who write on one condition, one wins."""

from __future__ import annotations

import asyncio

from perdure.spi import Absent, PreconditionFailed
from perdure_conformance.objects._harness import HEAD, ObjectsClauses, ObjectsHarness, put, read

__all__ = ["ConditionClauses"]

WRITERS = 16
CLIENTS = 4


class ConditionClauses(ObjectsClauses):
    """Putting under a condition."""

    async def test_o2_of_sixteen_who_put_what_is_absent_one_succeeds(self, harness: ObjectsHarness) -> None:
        """Sixteen workers create one instance. Each writes bytes of its own."""
        clients = [await harness.open_objects() for _ in range(CLIENTS)]
        for number in range(5):
            name = f"h/{number}"
            calls = [clients[who % CLIENTS].put(name, b"%d" % who, if_absent=True) for who in range(WRITERS)]

            outcomes = await asyncio.gather(*calls)

            assert outcomes.count(PreconditionFailed()) == WRITERS - 1
            found = await read(clients[0], name)
            assert outcomes[int(found.data)] == found.etag

    async def test_o2_of_sixteen_who_replace_one_content_one_succeeds(self, harness: ObjectsHarness) -> None:
        """Sixteen workers run the same turn."""
        clients = [await harness.open_objects() for _ in range(CLIENTS)]
        etag = await put(clients[0], b"0")

        for turn in range(10):
            data = [b"%d of turn %d" % (who, turn) for who in range(WRITERS)]
            calls = [clients[who % CLIENTS].put(HEAD, one, if_match=etag) for who, one in enumerate(data)]
            outcomes = await asyncio.gather(*calls)
            (winner,) = [who for who, outcome in enumerate(outcomes) if not isinstance(outcome, PreconditionFailed)]
            found = await read(clients[turn % CLIENTS])
            assert (found.data, found.etag) == (data[winner], outcomes[winner])
            etag = found.etag

    async def test_o2_sixteen_who_count_in_one_object_lose_no_step(self, harness: ObjectsHarness) -> None:
        """Read, add, replace under the condition, and again where it failed: what every writer of heads does."""
        clients = [await harness.open_objects() for _ in range(CLIENTS)]
        await put(clients[0], b"0 start")

        async def count(who: int) -> None:
            for step in range(4):
                outcome: object = PreconditionFailed()
                while isinstance(outcome, PreconditionFailed):
                    found = await read(clients[who % CLIENTS])
                    number = int(found.data.split()[0]) + 1
                    data = b"%d by %d in step %d" % (number, who, step)
                    outcome = await clients[who % CLIENTS].put(HEAD, data, if_match=found.etag)

        await asyncio.gather(*map(count, range(WRITERS)))

        assert (await read(clients[0])).data.split()[0] == b"%d" % (WRITERS * 4)

    async def test_o2_a_condition_that_does_not_hold_changes_nothing(self, harness: ObjectsHarness) -> None:
        """The zombie's write, minutes late."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        old = await put(objects, b"old")
        new = await put(other, b"new", if_match=old)

        assert await objects.put(HEAD, b"late", if_match=old) == PreconditionFailed()
        assert await objects.put(HEAD, b"late", if_absent=True) == PreconditionFailed()
        assert await objects.put("h/other", b"late", if_match=new) == PreconditionFailed()

        assert (await read(other)).data == b"new"
        assert await objects.get("h/other") == Absent()

    async def test_o2_what_was_deleted_matches_nothing_and_is_absent(self, harness: ObjectsHarness) -> None:
        """An etag outlives its object; its meaning does not."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        etag = await put(objects, b"one")
        await other.delete([HEAD])

        assert await objects.put(HEAD, b"two", if_match=etag) == PreconditionFailed()
        assert await objects.get(HEAD) == Absent()
        await put(objects, b"two", if_absent=True)

    async def test_o2_an_etag_that_was_read_is_as_good_as_one_that_was_written(self, harness: ObjectsHarness) -> None:
        """Turns go on from what they loaded, and from what they wrote themselves."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        written = await put(objects, b"one")

        read_again = (await read(other)).etag
        second = await put(other, b"two", if_match=read_again)
        third = await put(other, b"three", if_match=second)

        assert read_again == written
        assert (await read(objects)).etag == third

    async def test_o2_without_a_condition_whatever_is_there_is_replaced(self, harness: ObjectsHarness) -> None:
        """Chunks and segments: their names are their conditions."""
        objects = await harness.open_objects()
        first = await put(objects, b"one")

        await put(await harness.open_objects(), b"two")

        assert (await read(objects)).data == b"two"
        assert await objects.put(HEAD, b"three", if_match=first) == PreconditionFailed()
