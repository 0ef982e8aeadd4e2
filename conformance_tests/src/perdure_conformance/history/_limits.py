"""H10: every declared number of a store holds, and the next one is refused before anything happens."""

from __future__ import annotations

import pytest

from perdure.spi import Committed, Key, Missing, Misuse, PayloadScope, StoredPayload
from perdure_conformance.harness import Contract, Harness, at_limit
from perdure_conformance.material import ORDER, addition, begin, creation, read_head

__all__ = ["LimitClauses"]


class LimitClauses(Contract):
    """At a limit, and one past it."""

    level = 1

    async def test_h10_capabilities_can_be_true(self, harness: Harness) -> None:
        """Core plans with these numbers before it makes a call."""
        capabilities = (await harness.open_store()).capabilities

        assert 0 < capabilities.inline_bytes_max <= capabilities.record_bytes_max
        assert capabilities.payload_bytes_max > 0
        assert capabilities.scan_lag_seconds >= 0

    async def test_h10_a_record_at_the_limit_is_kept(self, harness: Harness) -> None:
        """As the first record, and as a later one."""
        store = await harness.open_store()
        size = at_limit(store.capabilities.record_bytes_max, "record_bytes_max")
        record = b"\xa5" * size

        assert await store.append(creation(ORDER, record=record)) == Committed(version=1)
        assert await store.append(addition(ORDER, 1, record=record)) == Committed(version=2)

        sizes = [len(found.data) for found in (await read_head(await harness.open_store(), ORDER)).records]
        assert sizes == [size, size]

    async def test_h10_a_record_past_the_limit_is_refused_and_names_the_limit(self, harness: Harness) -> None:
        """Cut off or written in part, it would be found damaged when it is needed."""
        store = await harness.open_store()
        size = at_limit(store.capabilities.record_bytes_max, "record_bytes_max")
        await begin(store)

        with pytest.raises(Misuse, match=str(size)):
            await store.append(addition(ORDER, 1, record=bytes(size + 1), status="Failed"))
        with pytest.raises(Misuse, match=str(size)):
            await store.append(creation(Key("new"), record=bytes(size + 1)))

        head = await read_head(await harness.open_store(), ORDER)
        assert (head.version, head.summary.status) == (1, "Running")
        assert await store.read(Key("new")) == Missing()

    async def test_h10_a_payload_at_the_limit_is_kept(self, harness: Harness) -> None:
        """Byte for byte, as any other."""
        store = await harness.open_store()
        size = at_limit(store.capabilities.payload_bytes_max, "payload_bytes_max")

        await store.put_payload(StoredPayload(ORDER, "in"), b"\xa5" * size)

        assert await store.get_payload(StoredPayload(ORDER, "in")) == b"\xa5" * size

    async def test_h10_a_payload_past_the_limit_is_refused_and_names_the_limit(self, harness: Harness) -> None:
        """Nothing of it is left behind."""
        store = await harness.open_store()
        size = at_limit(store.capabilities.payload_bytes_max, "payload_bytes_max")

        with pytest.raises(Misuse, match=str(size)):
            await store.put_payload(StoredPayload(ORDER, "in"), bytes(size + 1))

        assert [found async for found in store.payloads(PayloadScope(ORDER))] == []

    async def test_h10_the_longest_id_of_the_widest_characters_is_a_key(self, harness: Harness) -> None:
        """256 characters of four bytes are 1,024: longer than a file name, and than many keys, may be."""
        store = await harness.open_store()
        keys = [Key("\U0010ffff" * 255 + last) for last in "xyz"]

        for key in keys:
            await begin(store, key)

        assert [(await read_head(store, key)).key for key in keys] == keys
