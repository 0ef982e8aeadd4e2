"""LinearizabilityContract: concurrent calls, many times over."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar

from perdure.spi import Key
from perdure_conformance._report.counts import note_count
from perdure_conformance.harness import Contract
from perdure_conformance.linearizability._recording import record
from perdure_conformance.linearizability._search import explanation_of, shortest_unexplained
from perdure_conformance.model import Broken

if TYPE_CHECKING:
    import pytest

    from perdure.spi import HistoryStore
    from perdure_conformance.harness import Harness

__all__ = ["LinearizabilityContract"]

WITHIN_SECONDS = 3600.0
CRASH_EVERY = 10


class LinearizabilityContract(Contract):
    """Concurrent calls to one history are answered as if they had come one after the other.

    Attributes:
        history_count: How many histories clients meet at.
        client_count: How many clients, 2 or more.
        call_count: Calls of each client to each history.
        seed: What decides about the calls; None for another one in each run. A failure tells it.
    """

    level = 4
    history_count: ClassVar[int] = 200
    client_count: ClassVar[int] = 4
    call_count: ClassVar[int] = 5
    seed: ClassVar[int | None] = None

    async def test_an_order_of_concurrent_calls_explains_every_answer(
        self, harness: Harness, request: pytest.FixtureRequest
    ) -> None:
        """Two workers, a client and the sweeper meet at an instance, answers are lost, and calls arrive late."""
        seed = random.randrange(2**32) if self.seed is None else self.seed  # noqa: S311 - chance, not a secret
        stores = [await harness.open_store() for _ in range(self.client_count)]
        for number in range(self.history_count):
            if number % CRASH_EVERY == CRASH_EVERY - 1:
                stores[number // CRASH_EVERY % len(stores)] = await harness.open_store()
            await self._meet(harness, stores, number, seed)
        note_count(request.node, "histories", self.history_count)

    async def _meet(self, harness: Harness, stores: list[HistoryStore], number: int, seed: int) -> None:
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - repeatable is what it is for
        calls = record(stores, Key(f"meeting-{number}"), self.call_count, chance)
        operations = await harness.finish(calls, within_seconds=WITHIN_SECONDS)
        if explanation_of(operations) is None:
            told = "\n".join(map(str, shortest_unexplained(operations)))
            raise Broken(f"No order explains these answers (seed = {seed}, history {number}):\n{told}")
