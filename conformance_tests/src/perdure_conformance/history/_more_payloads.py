"""H9, what a name stands for: one payload, for good."""

from __future__ import annotations

from contextlib import suppress

from perdure.spi import Misuse, StoredPayload
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER

__all__ = ["MorePayloadClauses"]


class MorePayloadClauses(Contract):
    """Payloads that are written again."""

    async def test_h9_other_bytes_never_take_the_place_of_a_payload(self, harness: Harness) -> None:
        """A record knows length and digest of what it refers to: whether or not it says so, a provider keeps that."""
        store, other = await harness.open_store(), await harness.open_store()
        payload = StoredPayload(ORDER, "first/in")
        await store.put_payload(payload, b"order")

        for client in (store, other):
            with suppress(Misuse):
                await client.put_payload(payload, b"other")

        assert await store.get_payload(payload) == b"order"
        assert await (await harness.open_store()).get_payload(payload) == b"order"
