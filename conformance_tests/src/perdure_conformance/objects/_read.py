"""O1 and O3: what was put is there for everybody, whole."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Absent, Etag, Unchanged
from perdure_conformance.objects._harness import HEAD, ObjectsClauses, ObjectsHarness, listed, put, read

__all__ = ["ReadObjectClauses"]

CONTENTS = {
    "nothing": b"",
    "a null byte": b"\x00",
    "line ends": b"one\r\ntwo\n\rthree\r",
    "no text": bytes(range(256)) * 4,
    "what looks compressed": b"\x1f\x8b\x08\x00garbage",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a megabyte": b"0123456789abcdef" * 2**16,
}


class ReadObjectClauses(ObjectsClauses):
    """Putting and getting."""

    async def test_o1_what_was_put_is_there_for_everybody(self, harness: ObjectsHarness) -> None:
        """A worker that reads an old head computes a turn that cannot be written; one that lists none loses work."""
        writer, reader = await harness.open_objects(), await harness.open_objects()

        for number in range(20):
            etag = await put(writer, b"%d" % number)
            found = await read(reader)
            assert (found.data, found.etag) == (b"%d" % number, etag)
            await put(writer, b"x", f"p/ab/order-1/{number}")
            assert f"p/ab/order-1/{number}" in await listed(reader, "p/")

    async def test_o1_what_was_put_is_there_after_its_client_was_closed(self, harness: ObjectsHarness) -> None:
        """Nothing waits in the client for a better moment."""
        writer = await harness.open_objects()
        etag = await put(writer, b"one")

        await writer.aclose()
        await writer.aclose()

        assert (await read(await harness.open_objects())).etag == etag

    async def test_o1_what_was_deleted_is_gone_for_everybody(self, harness: ObjectsHarness) -> None:
        """People purge because they must. What was never there is no reason to stop."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        for name in ("a/1", "a/2", "a/3"):
            await put(objects, b"x", name)

        await objects.delete(["a/1", "never/there", "a/3"])
        await objects.delete(["a/1"])
        await objects.delete([])

        assert await other.get("a/1") == Absent()
        assert await listed(other) == ["a/2"]

    async def test_o1_a_thousand_and_some_objects_are_deleted_in_one_call(self, harness: ObjectsHarness) -> None:
        """Services take a thousand at most; callers need not know."""
        objects = await harness.open_objects()
        names = [f"c/{number:04}" for number in range(1100)]
        await _put_all(harness, names)

        await objects.delete(names[1:])

        assert await listed(objects) == names[:1]

    @pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
    async def test_o3_an_object_is_read_byte_for_byte(self, harness: ObjectsHarness, data: bytes) -> None:
        """Nothing on the way takes it for text, or for something to unpack."""
        objects = await harness.open_objects()

        etag = await put(objects, data)

        found = await read(await harness.open_objects())
        assert (found.data, found.etag) == (data, etag)

    async def test_o3_unchanged_is_told_only_of_the_content_that_is_known(self, harness: ObjectsHarness) -> None:
        """Told of another, it would make a worker go on from a head that is not there any more."""
        objects, other = await harness.open_objects(), await harness.open_objects()
        first = await put(objects, b"one")
        assert isinstance(await other.get(HEAD, first), Unchanged)

        second = await put(objects, b"two")

        assert (await read(other)).etag == second
        assert not isinstance(await other.get(HEAD, first), Unchanged)
        assert not isinstance(await other.get(HEAD, Etag("no such etag")), Unchanged)
        assert isinstance(await other.get(HEAD, second), Unchanged)

    async def test_o3_what_is_not_there_is_absent_whatever_is_known(self, harness: ObjectsHarness) -> None:
        """Deleted is not unchanged."""
        objects = await harness.open_objects()
        etag = await put(objects, b"one")
        await objects.delete([HEAD])

        assert await objects.get(HEAD) == Absent()
        assert await objects.get(HEAD, etag) == Absent()
        assert await objects.get("never/there", etag) == Absent()

    async def test_o3_nobody_reads_a_half(self, harness: ObjectsHarness) -> None:
        """Readers come while a megabyte is being replaced."""
        writer, reader = await harness.open_objects(), await harness.open_objects()
        await put(writer, b"0" * 2**20)

        async def write() -> None:
            for digit in (b"1", b"2", b"3"):
                await put(writer, digit * 2**20)

        writing = asyncio.create_task(write())
        while not writing.done():
            found = await read(reader)
            assert found.data == found.data[:1] * 2**20
            await asyncio.sleep(0)  # A service in memory never waits by itself.
        await writing

    async def test_o3_the_time_of_the_service_is_told_where_that_is_declared(self, harness: ObjectsHarness) -> None:
        """A worker whose clock is off is found out by it; 0 says that there is none."""
        objects = await harness.open_objects()
        await put(objects, b"one")

        times = [(await read(objects)).server_time for _ in range(2)]

        if objects.capabilities.server_time:
            assert 1_600_000_000 < times[0] <= times[1]
        else:
            assert times == [0, 0]

    async def test_o3_objects_do_not_touch_each_other(self, harness: ObjectsHarness) -> None:
        """Names that are prefixes of others, or look alike."""
        objects = await harness.open_objects()
        names = [
            "a",
            "a-",
            "a.b",
            "a_b",
            "aa/b",
            "aa/b.",
            "aa/bb",
            "ab",
            "a--/x",
            "0",
            "00",
            "-",
            "_",
            "...",
            ".a",
            "a..b",
        ]
        for name in names:
            await put(objects, name.encode(), name)

        assert [(await read(objects, name)).data.decode() for name in names] == names
        assert await listed(objects) == sorted(names)


async def _put_all(harness: ObjectsHarness, names: list[str]) -> None:
    objects = await harness.open_objects()
    for start in range(0, len(names), 50):
        await asyncio.gather(*(put(objects, b"x", name) for name in names[start : start + 50]))
