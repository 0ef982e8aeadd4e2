"""The search explains what can be explained and nothing else, and broken stores are found out by it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, ClassVar

import pytest

from perdure.memory import MemoryQueue, MemoryStore
from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Environment,
    Head,
    Key,
    Location,
    Missing,
    NotModified,
    Purged,
    Record,
    Token,
    Tombstone,
)
from perdure.testing import ManualClock, SeededEntropy
from perdure_conformance import Harness
from perdure_conformance.linearizability import (
    LinearizabilityContract,
    Operation,
    explanation_of,
    shortest_unexplained,
)
from perdure_conformance.material import ORDER, addition, creation
from perdure_conformance.model import Broken, Purge, Read

if TYPE_CHECKING:
    from pathlib import Path

    from perdure.spi import HistoryStore, WorkQueue

SEED = 4711
Seen = Head | Tombstone | Missing | NotModified


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────────────


def head(*appends: Append) -> Head:
    """Give what a read sees after these appends."""
    records = tuple(Record(one.version, one.turn_id, one.record) for one in appends)
    return Head(ORDER, records[-1].version, Token(""), records, appends[-1].summary, 0.0)


CREATE, ONE, OTHER = creation(ORDER), addition(ORDER, 1, turn_id="one"), addition(ORDER, 1, turn_id="other")
CREATED = Operation(0, CREATE, 0, 1, Committed(1))


def test_calls_that_overlap_may_take_effect_in_either_order() -> None:
    early = Operation(1, Read(), 2, 5, head(CREATE))
    late = Operation(2, Read(), 2, 5, head(CREATE, ONE))
    append = Operation(0, ONE, 3, 4, Committed(2))

    assert explanation_of([CREATED, late, early, append]) == [CREATED, early, append, late]


def test_a_read_that_begins_after_an_append_was_committed_has_to_see_it() -> None:
    append = Operation(0, ONE, 2, 3, Committed(2))
    stale = Operation(1, Read(), 4, 5, head(CREATE))

    assert explanation_of([CREATED, append, stale]) is None


def test_a_read_may_not_see_what_a_read_before_it_has_seen_beyond() -> None:
    append = Operation(0, ONE, 2, math.inf)
    seen = Operation(1, Read(), 3, 4, head(CREATE, ONE))
    stale = Operation(2, Read(), 5, 6, head(CREATE))

    assert explanation_of([CREATED, append, seen]) == [CREATED, append, seen]
    assert explanation_of([CREATED, append, seen, stale]) is None


def test_of_two_appends_at_one_version_both_cannot_have_been_committed() -> None:
    both = [Operation(0, ONE, 2, 9, Committed(2)), Operation(1, OTHER, 2, 9, Committed(2))]

    assert explanation_of([CREATED, *both]) is None


def test_a_call_without_an_answer_may_have_its_effect_late_or_never() -> None:
    unheard = Operation(0, ONE, 2)
    before = Operation(1, Read(), 3, 4, head(CREATE))
    after = Operation(1, Read(), 5, 6, head(CREATE, ONE))

    assert explanation_of([CREATED, unheard, before]) == [CREATED, before]
    assert explanation_of([CREATED, unheard, before, after]) == [CREATED, before, unheard, after]


def test_a_call_without_an_answer_has_its_effect_once() -> None:
    unheard = Operation(0, ONE, 2)
    doubled = Operation(1, Read(), 3, 4, head(CREATE, ONE, addition(ORDER, 2, turn_id="one")))

    assert explanation_of([CREATED, unheard, doubled]) is None


def test_a_purge_without_an_answer_may_have_left_whatever_tombstone_was_seen() -> None:
    purge = Operation(0, Purge(1), 2)
    seen = Operation(1, Read(), 3, 4, Tombstone(77, "first"))

    assert explanation_of([CREATED, purge, seen]) == [CREATED, purge, seen]
    assert explanation_of([CREATED, seen]) is None


def test_a_tombstone_is_above_the_version_that_it_replaced() -> None:
    assert explanation_of([CREATED, Operation(0, Purge(1), 2, 3, Purged(1))]) is None


def test_what_has_no_explanation_is_cut_at_the_answer_that_takes_it_away() -> None:
    append, stale = Operation(0, ONE, 2, 3, Committed(2)), Operation(1, Read(), 4, 5, head(CREATE))
    later = Operation(1, Read(), 6, 7, head(CREATE, ONE))

    cut = shortest_unexplained([CREATED, append, stale, later])

    assert cut == [CREATED, append, stale]
    assert [str(operation).split()[-1] for operation in cut] == [
        "Committed(version=1)",
        "Committed(version=2)",
        "1:create",
    ]


# ── broken stores ────────────────────────────────────────────────────────────────────────────────────────────────────


class MemoryHarness(Harness):
    """`memory:` with a store that may be broken."""

    time_is_virtual = True
    store: type[MemoryStore] = MemoryStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, entropy=SeededEntropy(1))
        self.location = Location(url=f"memory:{folder}", scheme="memory", path=str(folder), options={})

    def make_store(self) -> HistoryStore:
        return self.store(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return MemoryQueue(self.location, self.environment)

    async def let_time_pass(self, seconds: float) -> None:
        await self.clock.advance(seconds)


class LooksThenWrites(MemoryStore):
    """Another write may come between the look at the version and the write: no single caller can see it."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        await asyncio.sleep(0)
        now = self.histories.read(append.key, 0, None)
        if isinstance(seen, Head) and isinstance(now, Head) and seen.version == append.expected:
            records = vars(self.histories)["_states"][append.key].records
            records[1:] = [record for record in records[1:] if record.version <= append.expected]
        return await super().append(append)


class ReadsBehind(MemoryStore):
    """A read is answered by a copy that is one read old."""

    copies: ClassVar[dict[Key, Seen]] = {}

    async def read(self, key: Key, *, after: int = 0, known: Token | None = None) -> Seen:
        now = await super().read(key, after=after, known=known)
        before, self.copies[key] = self.copies.get(key, now), now
        return before


class AnswersBeforeItWrites(MemoryStore):
    """An append is acknowledged, and visible some rounds later."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Head) and seen.version == append.expected and not append.create:
            asyncio.get_running_loop().call_later(0, self._write, append)
            return Committed(append.version)
        return await super().append(append)

    def _write(self, append: Append) -> None:
        self.histories.append(append)


class ForgetsWhoWrote(MemoryStore):
    """An own append whose answer was lost is a conflict."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, append.expected, None)
        if isinstance(seen, Head) and not append.create and append.expected < seen.version:
            return Conflict(seen.version)
        return await super().append(append)


class CreatesTwice(MemoryStore):
    """A create is not recognised after a purge."""

    async def append(self, append: Append) -> Committed | Conflict:
        seen = self.histories.read(append.key, 0, None)
        if isinstance(seen, Tombstone) and append.create:
            del self.histories._states[append.key]
        return await super().append(append)


class PurgesAnything(MemoryStore):
    """A purge takes whatever version is there."""

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        seen = self.histories.read(key, 0, None)
        return await super().purge(key, seen.version if isinstance(seen, Head) else expected)


BROKEN = [LooksThenWrites, ReadsBehind, AnswersBeforeItWrites, ForgetsWhoWrote, CreatesTwice, PurgesAnything]


async def try_out(store: type[MemoryStore], folder: Path, request: pytest.FixtureRequest) -> None:
    harness = type("ThisHarness", (MemoryHarness,), {"store": store})
    contract = type("ThisContract", (LinearizabilityContract,), {"harness": harness, "seed": SEED})()
    async with harness(folder / "hub") as started:
        await contract.test_an_order_of_concurrent_calls_explains_every_answer(started, request)


@pytest.mark.parametrize("store", BROKEN)
async def test_a_broken_store_is_found_out(
    store: type[MemoryStore], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(Broken, match=f"seed = {SEED}"):
        await try_out(store, tmp_path, request)


async def test_a_sound_store_is_not(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    await try_out(MemoryStore, tmp_path, request)
