"""H3 and H5: what was committed is seen, whole and unchanged."""

from __future__ import annotations

import pytest

from perdure.spi import Corrupt, Key, Missing, NotModified, Record
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

__all__ = ["ReadClauses"]

AWKWARD_RECORDS = {
    "empty": b"",
    "null": b"\x00",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\n\r\x0b\x0c\x1a",
    "spaces around": b" \t record \n\n ",
    "not utf-8": b"\xff\xfe\xc3\x28",
    "looks like json": b'{"version": 1}',
    "one megabyte": bytes(range(256)) * 4096,
}


class ReadClauses(Contract):
    """Reading, from the same and from other clients."""

    async def test_h3_nothing_is_known_of_a_key_that_was_never_written(self, harness: Harness) -> None:
        """`Missing` is what lets a create go ahead."""
        store = await harness.open_store()

        assert await store.read(ORDER) == Missing()

    async def test_h3_each_client_sees_at_once_what_another_has_committed(self, harness: Harness) -> None:
        """Turns of one instance move between workers; a stale read drops the completion it does not know."""
        stores = [await harness.open_store(), await harness.open_store()]
        await begin(stores[0])

        for version in range(1, 40):
            reader, writer = stores[version % 2], stores[1 - version % 2]
            await writer.append(addition(ORDER, version, custom_status=f"at {version + 1}"))
            head = await read_head(reader, ORDER)
            assert (head.version, head.summary.custom_status) == (version + 1, f"at {version + 1}")

    async def test_h3_a_history_that_is_not_modified_is_not_sent_again(self, harness: Harness) -> None:
        """Whoever polls for a result pays for each byte."""
        store, other = await harness.open_store(), await harness.open_store()
        await begin(store)
        token = (await read_head(store, ORDER)).token

        assert await store.read(ORDER, known=token) == NotModified()
        assert await other.read(ORDER, known=token) == NotModified()
        assert await other.read(ORDER, after=1, known=token) == NotModified()

    async def test_h3_a_known_token_hides_no_change(self, harness: Harness) -> None:
        """A token that stays the same over a change would make a waiter wait for ever."""
        store, other = await harness.open_store(), await harness.open_store()
        await begin(store)
        tokens = [(await read_head(store, ORDER)).token]

        for version in range(1, 6):
            await other.append(addition(ORDER, version, record=b"the same bytes"))
            tokens.append((await read_head(store, ORDER, known=tokens[-1])).token)

        assert len(set(tokens)) == 6

    async def test_h3_a_known_token_hides_no_purge_and_no_new_incarnation(self, harness: Harness) -> None:
        """Also when the new history looks like the old one, byte for byte."""
        store = await harness.open_store()
        version = await begin(store)
        token = (await read_head(store, ORDER)).token

        tombstone = await purge(store, ORDER, version)
        assert await store.read(ORDER, known=token) != NotModified()
        await store.append(creation(ORDER, "second", expected=tombstone))
        assert await store.read(ORDER, known=token) != NotModified()

    async def test_h3_a_head_tells_the_time(self, harness: Harness) -> None:
        """Workers compare their clock with it and run no turns if they are far off (R14)."""
        store = await harness.open_store()
        await begin(store)

        assert abs((await read_head(store, ORDER)).server_time - harness.environment.clock.now()) < 3600

    @pytest.mark.parametrize("record", AWKWARD_RECORDS.values(), ids=AWKWARD_RECORDS.keys())
    async def test_h5_a_record_comes_back_byte_for_byte(self, harness: Harness, record: bytes) -> None:
        """Records are opaque: compressed, encrypted, anything."""
        store = await harness.open_store()
        if len(record) > store.capabilities.record_bytes_max:
            pytest.skip(f"record_bytes_max={store.capabilities.record_bytes_max} is below this record")
        await store.append(creation(ORDER, record=record))
        await store.append(addition(ORDER, 1, record=record))

        head = await read_head(await harness.open_store(), ORDER)

        assert [found.data for found in head.records] == [record, record]

    async def test_h5_two_hundred_records_come_back_in_order_and_complete(self, harness: Harness) -> None:
        """More than one page, chunk or object of any backend; one missing and replay goes another way."""
        store = await harness.open_store()
        await store.append(creation(ORDER, record=b"0"))
        for version in range(1, 200):
            await store.append(addition(ORDER, version, turn_id=f"turn-{version}", record=b"%d" % version * 300))

        head = await read_head(await harness.open_store(), ORDER)

        expected = [Record(version=1, turn_id="create", data=b"0")]
        expected += [Record(version=v + 1, turn_id=f"turn-{v}", data=b"%d" % v * 300) for v in range(1, 200)]
        assert list(head.records) == expected

    async def test_h5_a_read_after_a_version_gives_exactly_the_rest(self, harness: Harness) -> None:
        """A worker with a cached history reads only what is new; one record too few or too many is a fork."""
        store = await harness.open_store()
        await begin(store, records=30)

        for after in range(31):
            head = await read_head(store, ORDER, after=after)
            assert head.version == 30
            assert [record.version for record in head.records] == list(range(after + 1, 31))

    async def test_h5_a_read_after_a_version_that_is_not_there_yet_gives_no_records(self, harness: Harness) -> None:
        """The head still tells where the history is."""
        store = await harness.open_store()
        await begin(store, records=2)

        head = await read_head(store, ORDER, after=1000)

        assert (head.version, head.records) == (2, ())

    async def test_h5_only_records_of_the_current_incarnation_are_read(self, harness: Harness) -> None:
        """The replaced instance's turns are not this one's; also for whoever knew the old history."""
        store = await harness.open_store()
        closed = await begin(store, records=3)
        await store.append(creation(ORDER, "second", turn_id="again", expected=closed, record=b"anew"))
        await store.append(addition(ORDER, closed + 1, incarnation="second", record=b"on"))

        for after in (0, 1, closed):
            assert [r.data for r in (await read_head(store, ORDER, after=after)).records] == [b"anew", b"on"]

    async def test_h5_every_field_of_a_summary_comes_back(self, harness: Harness) -> None:
        """Floats to the last bit, text in any script, and the difference between none and empty."""
        store = await harness.open_store()
        full = creation(
            ORDER,
            "01hx",
            name="Rechnung — счёт",
            status="Suspended",
            execution=7,
            created_at=1_700_000_000.123_456_7,
            updated_at=1_700_000_001.1,
            queue="gpu 🦆",
            version="",
            next_due=4_000_000_000.5,
            stalled="waiting for a worker that knows 'invoicing'",
            tags={"": "empty", "ключ": "", "a": "ä\n'\""},
            custom_status="50 %",
            parent="../parent",
        )
        plain = creation(Key("plain"), version=None)

        await store.append(full)
        await store.append(plain)

        reader = await harness.open_store()
        assert (await read_head(reader, ORDER)).summary == full.summary
        assert (await read_head(reader, Key("plain"))).summary == plain.summary

    async def test_h5_a_damaged_record_is_reported_and_not_overwritten(self, harness: Harness) -> None:
        """Decided on from half a history, the next turn would make the damage permanent."""
        store = await harness.open_store()
        await begin(store, records=3)
        if not await harness.corrupt_record(ORDER, 2):
            pytest.skip("the harness cannot damage a record (corrupt_record)")

        with pytest.raises(Corrupt):
            await (await harness.open_store()).read(ORDER)

        with pytest.raises(Corrupt):
            await (await harness.open_store()).read(ORDER)
