"""Each broken backend is told from the model within the usual number of examples; a sound one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from perdure.memory import MemoryQueue, MemoryStore
from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Delivery,
    Environment,
    Head,
    Key,
    Location,
    Missing,
    NotModified,
    Purged,
    Query,
    Summary,
    Token,
    Tombstone,
)
from perdure.testing import ManualClock, SeededEntropy
from perdure_conformance import Harness
from perdure_conformance.model import Broken, ModelContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from perdure.spi import HistoryStore, QueueName, WorkerId, WorkQueue

Seen = Head | Tombstone | Missing | NotModified


class MemoryHarness(Harness):
    """`memory:` with a store and a queue that may be broken."""

    time_is_virtual = True
    store: type[MemoryStore] = MemoryStore
    queue: type[MemoryQueue] = MemoryQueue

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
        self.location = Location(url=f"memory:{folder}", scheme="memory", path=str(folder), options={})

    def make_store(self) -> HistoryStore:
        return self.store(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return self.queue(self.location, self.environment)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)


# ── stores ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class AnyVersionWins(MemoryStore):
    """Compare-and-append that does not compare."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Head) and seen.version < append.version and not append.create:
            append = msgspec.structs.replace(append, expected=seen.version)
        return await super().append(append)


class VersionsAgain(MemoryStore):
    """After a purge, versions begin anew."""

    async def append(self, append: Append) -> Committed | Conflict:
        buried = isinstance(self.histories.read(append.key, 0, None), Tombstone)
        if buried and append.create and append.expected == 0:
            del self.histories._states[append.key]
        return await super().append(append)


class StaleReads(MemoryStore):
    """What a client has read, it reads again, until it writes itself."""

    def __init__(self, location: Location, environment: Environment) -> None:
        super().__init__(location, environment)
        self.cache: dict[Key, Seen] = {}

    async def read(self, key: Key, *, after: int = 0, known: Token | None = None) -> Seen:
        if after or known:
            return await super().read(key, after=after, known=known)
        return self.cache.setdefault(key, await super().read(key))

    async def append(self, append: Append) -> Committed | Conflict:
        self.cache.pop(append.key, None)
        return await super().append(append)

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        self.cache.pop(key, None)
        return await super().purge(key, expected)


class LateAppends(MemoryStore):
    """An append is acknowledged, and written with the client's next call."""

    def __init__(self, location: Location, environment: Environment) -> None:
        super().__init__(location, environment)
        self.kept: list[Append] = []

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Head) and seen.version == append.expected and not append.create:
            self.kept.append(append)
            return Committed(append.version)
        return await super().append(append)

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        while self.kept:
            self.histories.append(self.kept.pop())
        async for summary in super().scan(query):
            yield summary


class SecondCreates(MemoryStore):
    """A create whose answer was lost, and whose instance was purged meanwhile, runs a second time."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Tombstone) and append.create and seen.incarnation == append.summary.incarnation:
            del self.histories._states[append.key]
        return await super().append(append)


class DoubleRecords(MemoryStore):
    """The same append again is another record, if it is the last one."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Head) and seen.records[-1].turn_id == append.turn_id and not append.create:
            again = msgspec.structs.replace(append, expected=seen.version, version=seen.version + 1)
            return await super().append(again)
        return await super().append(append)


class ShortScans(MemoryStore):
    """A scan skips the second of three."""

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        for index, summary in enumerate([found async for found in super().scan(query)]):
            if index != 1:
                yield summary


class CarelessPurges(MemoryStore):
    """A purge takes whatever version is there."""

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        seen = self.histories.read(key, 0, None)
        return await super().purge(key, seen.version if isinstance(seen, Head) else expected)


class SameTokens(MemoryStore):
    """A token is the count of records, so that two lives of an id look alike."""

    async def read(self, key: Key, *, after: int = 0, known: Token | None = None) -> Seen:
        seen = await super().read(key)
        if not isinstance(seen, Head):
            return seen
        token = Token(str(len(seen.records)))
        records = tuple(record for record in seen.records if record.version > after)
        return NotModified() if known == token else msgspec.structs.replace(seen, token=token, records=records)


# ── queues ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class LostOnExpiry(MemoryQueue):
    """A message whose lease ends is gone."""

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        now, there = self._clock.monotonic(), self.messages._queue(queue).messages
        for message in [m for m in there.values() if m.holder is not None and m.hidden_until <= now]:
            self.messages._queue(queue).remove(message)
        return await super().receive(
            queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=wait_seconds, worker=worker
        )


class TwoHolders(MemoryQueue):
    """A leased message is given to whoever asks next."""

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        for message in self.messages._queue(queue).messages.values():
            if message.holder not in {None, worker}:
                self.messages._queue(queue).let_go(message)
                self.messages._queue(queue).show_at(message, self._clock.monotonic())
        return await super().receive(
            queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=wait_seconds, worker=worker
        )


class IdleRenewals(MemoryQueue):
    """A renewal says yes and does nothing."""

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        del lease_seconds
        return [self.messages._held(delivery) is not None for delivery in deliveries]


class OldReceipts(MemoryQueue):
    """Whoever held a message once may complete it for ever."""

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        answers = []
        for delivery in deliveries:
            queue = self.messages._queue(delivery.envelope.queue)
            message = queue.messages.get(int(delivery.receipt.partition("/")[0]))
            answers.append(message is not None)
            if message is not None:
                queue.remove(message)
        return answers


class ForgottenReasons(MemoryQueue):
    """What is put aside loses its reason."""

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        await super().dead_letter(deliveries, reason[:5])


class HastyDelays(MemoryQueue):
    """A message that is given back for later comes at once."""

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        del delay_seconds
        await super().abandon(deliveries)


STORES = [
    AnyVersionWins,
    VersionsAgain,
    StaleReads,
    LateAppends,
    SecondCreates,
    DoubleRecords,
    ShortScans,
    CarelessPurges,
    SameTokens,
]
QUEUES = [LostOnExpiry, TwoHolders, IdleRenewals, OldReceipts, ForgottenReasons, HastyDelays]


def contract_of(store: type[MemoryStore], queue: type[MemoryQueue]) -> ModelContract:
    """Give the contract of a backend, with as many examples as usual, the same in each run."""
    harness = type("ThisHarness", (MemoryHarness,), {"store": store, "queue": queue})
    usual = {"harness": harness, "repeatable": True, "shortens": False}
    contract: ModelContract = type("ThisContract", (ModelContract,), usual)()
    return contract


@pytest.mark.parametrize("store", STORES)
async def test_a_broken_store_is_found_out(
    store: type[MemoryStore], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    contract = contract_of(store, MemoryQueue)

    with pytest.raises(Broken):
        await contract.test_histories_are_what_the_model_says_after_each_call(tmp_path, request)


@pytest.mark.parametrize("queue", QUEUES)
async def test_a_broken_queue_is_found_out(
    queue: type[MemoryQueue], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    contract = contract_of(MemoryStore, queue)

    with pytest.raises(Broken):
        await contract.test_messages_are_what_the_model_says_after_each_call(tmp_path, request)
