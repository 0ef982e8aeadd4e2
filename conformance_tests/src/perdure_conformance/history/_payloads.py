"""H9: payloads out of line come back, and lead nowhere else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Corrupt, Key, PayloadScope, StoredPayload
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import KEYS, ORDER

if TYPE_CHECKING:
    from perdure.spi import HistoryStore

__all__ = ["PayloadClauses"]

USUAL_NAMES = ["first/in", "first/e/m-1", "first/t/0-3/1", "first/r/12-create/0"]
NAMES = [*USUAL_NAMES, *KEYS.values()]
CONTENTS = {
    "empty": b"",
    "null": b"\x00",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\n\r\x1a",
    "spaces around": b" \t payload \n\n ",
    "five megabytes": bytes(range(256)) * 20_480,
}


async def _names(store: HistoryStore, scope: PayloadScope) -> list[str]:
    return [found.name async for found in store.payloads(scope)]


class PayloadClauses(Contract):
    """Large inputs and results, kept beside the history."""

    @pytest.mark.parametrize("data", CONTENTS.values(), ids=CONTENTS.keys())
    async def test_h9_a_payload_is_read_back_byte_for_byte(self, harness: Harness, data: bytes) -> None:
        """By another client too: the worker that needs it is seldom the one that wrote it."""
        store = await harness.open_store()
        if len(data) > store.capabilities.payload_bytes_max:
            pytest.skip(f"payload_bytes_max={store.capabilities.payload_bytes_max} is below this payload")
        payload = StoredPayload(ORDER, "first/in")

        await store.put_payload(payload, data)

        assert await store.get_payload(payload) == data
        assert await (await harness.open_store()).get_payload(payload) == data

    async def test_h9_a_payload_needs_no_history(self, harness: Harness) -> None:
        """It is written before the record that names it, the first one too."""
        store = await harness.open_store()

        await store.put_payload(StoredPayload(ORDER, "first/in"), b"order")

        assert await store.get_payload(StoredPayload(ORDER, "first/in")) == b"order"

    async def test_h9_the_same_payload_again_changes_nothing(self, harness: Harness) -> None:
        """A turn that runs again writes its payloads again."""
        store = await harness.open_store()
        payload = StoredPayload(ORDER, "first/in")

        for _ in range(3):
            await store.put_payload(payload, b"order")

        assert await store.get_payload(payload) == b"order"
        assert await _names(store, PayloadScope(ORDER)) == ["first/in"]

    async def test_h9_the_same_payload_from_eight_clients_at_once_is_one(self, harness: Harness) -> None:
        """Eight workers run one turn; nobody may read a mix or a half."""
        stores = [await harness.open_store() for _ in range(8)]
        payload, data = StoredPayload(ORDER, "first/in"), bytes(range(256)) * 1000

        await asyncio.gather(*(store.put_payload(payload, data) for store in stores))

        assert await stores[0].get_payload(payload) == data
        assert await _names(stores[0], PayloadScope(ORDER)) == ["first/in"]

    async def test_h9_a_payload_that_is_not_there_is_corrupt(self, harness: Harness) -> None:
        """A record names it, so it was there: something deleted it. An empty answer would pass for a result."""
        store = await harness.open_store()
        await store.put_payload(StoredPayload(ORDER, "first/in"), b"order")

        for absent in (StoredPayload(ORDER, "first"), StoredPayload(ORDER, "first/i"), StoredPayload(Key("x"), "in")):
            with pytest.raises(Corrupt):
                await store.get_payload(absent)

    async def test_h9_a_damaged_payload_is_corrupt(self, harness: Harness) -> None:
        """Flipped bits must not become an invoice."""
        store = await harness.open_store()
        payload = StoredPayload(ORDER, "first/in")
        await store.put_payload(payload, b"order" * 1000)
        if not await harness.corrupt_payload(payload):
            pytest.skip("the harness cannot damage a payload (corrupt_payload)")

        with pytest.raises(Corrupt):
            await (await harness.open_store()).get_payload(payload)

    async def test_h9_names_of_any_text_do_not_touch_each_other(self, harness: Harness) -> None:
        """Message ids are in them, and instance ids in those: traversal, patterns, case, everything."""
        store = await harness.open_store()
        for number, name in enumerate(NAMES):
            await store.put_payload(StoredPayload(ORDER, name), b"%d" % number)

        for number, name in enumerate(NAMES):
            assert await store.get_payload(StoredPayload(ORDER, name)) == b"%d" % number, name
        assert await _names(store, PayloadScope(ORDER)) == sorted(NAMES)

    async def test_h9_a_reference_leads_nowhere_outside_the_hub(self, harness: Harness) -> None:
        """Names and keys come from users; a path among them must not be followed."""
        store = await harness.open_store()
        up = ["../x", "../../x", "../../../x", "a/../../../x", "..", "%2e%2e/x", "..\\..\\x"]

        for name in up:
            await store.put_payload(StoredPayload(ORDER, name), b"inside")
            await store.put_payload(StoredPayload(Key(name), "in"), b"inside")

        beside = [found.name for found in harness.folder.parent.iterdir()]
        assert beside in ([], [harness.folder.name])

    async def test_h9_the_same_name_under_another_key_is_another_payload(self, harness: Harness) -> None:
        """Also where key and name together read the same."""
        store = await harness.open_store()
        pairs = [("a", "b/c"), ("a/b", "c"), ("a", "c"), ("A", "c"), ("a.", "c"), ("a", "C")]
        for number, (key, name) in enumerate(pairs):
            await store.put_payload(StoredPayload(Key(key), name), b"%d" % number)

        for number, (key, name) in enumerate(pairs):
            assert await store.get_payload(StoredPayload(Key(key), name)) == b"%d" % number

    async def test_h9_payloads_are_listed_by_key_and_prefix_in_the_order_of_names(self, harness: Harness) -> None:
        """Garbage collection walks them, and compares with what the records name."""
        store = await harness.open_store()
        for name in ("first/r/2", "first/r/10", "first/in", "first_r", "second/in", "FIRST/in"):
            await store.put_payload(StoredPayload(ORDER, name), b"x")
        await store.put_payload(StoredPayload(Key(ORDER + "/first"), "r/3"), b"x")

        assert await _names(store, PayloadScope(ORDER, "first/")) == ["first/in", "first/r/10", "first/r/2"]
        assert await _names(store, PayloadScope(ORDER, "first_")) == ["first_r"]
        assert len(await _names(store, PayloadScope(ORDER))) == 6
        assert await _names(store, PayloadScope(ORDER, "third")) == []
        assert await _names(store, PayloadScope(Key("nobody"))) == []

    async def test_h9_deleted_payloads_are_gone_and_others_stay(self, harness: Harness) -> None:
        """Those that are not there are passed over: the sweeper may have been here before."""
        store = await harness.open_store()
        for name in USUAL_NAMES:
            await store.put_payload(StoredPayload(ORDER, name), b"x")
        gone = [StoredPayload(ORDER, name) for name in USUAL_NAMES[:2]]
        absent = [StoredPayload(ORDER, "first"), StoredPayload(ORDER, "first/"), StoredPayload(Key("nobody"), "in")]

        await store.delete_payloads([*gone, *absent])
        await store.delete_payloads(gone)
        await store.delete_payloads([])

        assert await _names(store, PayloadScope(ORDER)) == sorted(USUAL_NAMES[2:])
        with pytest.raises(Corrupt):
            await store.get_payload(gone[0])

    async def test_h9_three_hundred_payloads_of_one_key_are_all_listed_and_deleted(self, harness: Harness) -> None:
        """More than one page of any backend."""
        store = await harness.open_store()
        payloads = [StoredPayload(ORDER, f"first/t/0-{number:03}") for number in range(300)]
        for payload in payloads:
            await store.put_payload(payload, b"x")

        assert [found async for found in store.payloads(PayloadScope(ORDER))] == payloads
        await store.delete_payloads(payloads)
        assert await _names(store, PayloadScope(ORDER)) == []
