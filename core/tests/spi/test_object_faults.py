"""Lost answers and late writes: whatever the service does to requests, no history forks, loses or doubles a record."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from perdure_conformance.material import ORDER, addition, begin, creation, purge, read_head

from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Environment,
    Etag,
    Head,
    HistoryStore,
    MemoryObjects,
    Missing,
    Misuse,
    ObjectHistoryStore,
    PreconditionFailed,
    Purged,
    Query,
    SystemClock,
    Tombstone,
    Unavailable,
    Unknown,
)
from perdure.testing import SeededEntropy

if TYPE_CHECKING:
    from collections.abc import Sequence


class HastyClock(SystemClock):
    """Nobody waits between attempts."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        del seconds
        await asyncio.sleep(0)
        return event.is_set()


class FaultyObjects(MemoryObjects):
    """A service whose puts go wrong: refused, applied with the answer lost, or applied later (`land`)."""

    def __init__(self, objects: dict[str, bytes], fates: Sequence[str] | random.Random, share: float = 0.1) -> None:
        super().__init__(objects)
        self._fates = fates if isinstance(fates, random.Random) else iter(fates)
        self._share = share
        self.late: list[tuple[str, bytes, bool, Etag | None]] = []
        self.lost = 0

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        fate = self._next_fate()
        await asyncio.sleep(0)
        if fate == "refused":
            raise Unavailable("throttled")
        if fate == "late":
            self.late.append((name, data, if_absent, if_match))
            raise Unknown("no answer yet")
        answer = await super().put(name, data, if_absent=if_absent, if_match=if_match)
        if fate == "lost":
            self.lost += 1
            raise Unknown("answer lost")
        return answer

    async def land(self) -> None:
        """Let the requests arrive that were under way."""
        late, self.late = self.late, []
        for name, data, if_absent, if_match in late:
            await super().put(name, data, if_absent=if_absent, if_match=if_match)

    def _next_fate(self) -> str:
        if not isinstance(self._fates, random.Random):
            return next(self._fates, "")
        return "lost" if self._fates.random() < self._share else ""


def open_store(objects: MemoryObjects) -> ObjectHistoryStore:
    return ObjectHistoryStore(objects, Environment(HastyClock(), SeededEntropy(1)))


async def until_definite(store: HistoryStore, append: Append) -> Committed | Conflict:
    """Repeat the identical append, as every caller must."""
    for _ in range(100):
        try:
            return await store.append(append)
        except (Unknown, Unavailable):
            continue
    pytest.fail("no definite answer in a hundred attempts")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_h4_of_450_appends_at_ten_percent_lost_answers_none_is_lost_or_doubled(seed: int) -> None:
    """Measured with a client that takes "precondition failed" for another's write: 74 to 89 duplicates a run."""
    stored: dict[str, bytes] = {}
    services = [FaultyObjects(stored, random.Random(seed * 10 + who)) for who in range(3)]
    stores = [open_store(service) for service in services]
    await until_definite(stores[0], creation(ORDER, record=b"created"))
    wanted = [b"%d-%d" % (who, number) for who in range(3) for number in range(150)]

    async def add_all(who: int) -> None:
        for number in range(150):
            outcome: Committed | Conflict = Conflict(0)
            while isinstance(outcome, Conflict):
                version = (await read_head(stores[who], ORDER)).version
                record, turn_id = b"%d-%d" % (who, number), f"{who}-{number}-{version}"
                outcome = await until_definite(stores[who], addition(ORDER, version, record=record, turn_id=turn_id))

    await asyncio.gather(*(add_all(who) for who in range(3)))

    records = (await read_head(open_store(MemoryObjects(stored)), ORDER)).records
    assert sorted(record.data for record in records[1:]) == sorted(wanted)
    assert [record.version for record in records] == list(range(1, 452))
    assert sum(service.lost for service in services) > 20


async def test_h4_an_append_whose_every_answer_is_lost_is_unknown_and_then_found() -> None:
    """A bounded number of identical repeats; then the caller decides when to ask again."""
    stored: dict[str, bytes] = {}
    await begin(open_store(MemoryObjects(stored)))
    service = FaultyObjects(stored, ["late"] * 4)
    store = open_store(service)

    with pytest.raises(Unknown):
        await store.append(addition(ORDER, 1))
    await service.land()

    assert await store.append(addition(ORDER, 1)) == Committed(2)
    assert [record.version for record in (await read_head(store, ORDER)).records] == [1, 2]


async def test_h4_refused_after_a_lost_answer_is_not_unavailable() -> None:
    """`Unavailable` says that nothing happened; after the first lost answer nobody knows that any more."""
    stored: dict[str, bytes] = {}
    await begin(open_store(MemoryObjects(stored)))
    service = FaultyObjects(stored, ["late", "refused", "refused", "refused", "refused"])

    with pytest.raises(Unknown):
        await open_store(service).append(addition(ORDER, 1))


async def test_h4_refused_before_anything_was_sent_is_unavailable() -> None:
    stored: dict[str, bytes] = {}
    await begin(open_store(MemoryObjects(stored)))

    with pytest.raises(Unavailable):
        await open_store(FaultyObjects(stored, ["refused"])).append(addition(ORDER, 1))


async def test_h6_a_write_that_lands_after_the_purge_changes_nothing() -> None:
    """The zombie's request was under way for minutes."""
    stored: dict[str, bytes] = {}
    sweeper, service = open_store(MemoryObjects(stored)), FaultyObjects(stored, ["late"] * 4)
    await begin(sweeper)
    with pytest.raises(Unknown):
        await open_store(service).append(addition(ORDER, 1))

    tombstone = await purge(sweeper, ORDER, 1)
    await service.land()

    assert await sweeper.read(ORDER) == Tombstone(tombstone, "first")


async def test_h4_a_create_of_any_earlier_incarnation_finds_its_tombstone() -> None:
    """Created, purged, created again under another name, purged: the first create's answer is still owed (S7)."""
    store = open_store(MemoryObjects({}))
    first = await purge(store, ORDER, await begin(store))
    await store.append(creation(ORDER, "second", turn_id="again", expected=first))
    second = await purge(store, ORDER, first + 1)

    assert await store.append(creation(ORDER, "first", expected=second)) == Committed(1)
    assert isinstance(await store.read(ORDER), Tombstone)


async def test_h4_a_create_of_an_earlier_incarnation_does_not_run_over_one_that_has_ended() -> None:
    """The head is live, as the late create expects it, and remembers that this life was lived already (S7)."""
    store = open_store(MemoryObjects({}))
    closed = await begin(store, records=2, status="Completed")
    await store.append(creation(ORDER, "second", turn_id="again", expected=closed, status="Completed"))

    assert await store.append(creation(ORDER, "first", turn_id="late", expected=closed + 1)) == Committed(1)
    assert (await read_head(store, ORDER)).summary.incarnation == "second"


class ThrottledDeletes(MemoryObjects):
    """A service that refuses some deletes."""

    refusals_left = 0

    async def delete(self, names: Sequence[str]) -> None:
        if self.refusals_left:
            self.refusals_left -= 1
            raise Unavailable("throttled")
        await super().delete(names)


async def test_a_purge_refused_after_its_tombstone_is_unknown() -> None:
    """`Unavailable` would say that nothing happened, and the history is gone."""
    service = ThrottledDeletes({})
    store = open_store(service)
    version = await begin(store)
    service.refusals_left = 1000

    with pytest.raises(Unknown):
        await store.purge(ORDER, version)
    with pytest.raises(Unknown):
        await store.purge(ORDER, version)

    service.refusals_left = 1
    assert await store.purge(ORDER, version) == Purged(version + 1)


class NeverAsExpected(MemoryObjects):
    """A service that breaks its promise: no condition ever holds."""

    puts = 0

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        del name, data, if_absent, if_match
        self.puts += 1
        assert self.puts < 100, "a loop without end"
        return PreconditionFailed()


async def test_a_condition_that_never_holds_ends_in_unknown() -> None:
    stored: dict[str, bytes] = {}
    await begin(open_store(MemoryObjects(stored)))

    with pytest.raises(Unknown, match="promises"):
        await open_store(NeverAsExpected(stored)).append(addition(ORDER, 1))
    with pytest.raises(Unknown, match="promises"):
        await open_store(NeverAsExpected(stored)).purge(ORDER, 1)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
async def test_a_time_that_json_cannot_hold_is_refused_before_it_is_written(value: float) -> None:
    """Written, it would make the head unreadable, and with it every scan."""
    store = open_store(MemoryObjects({}))

    with pytest.raises(Misuse, match="infinite"):
        await store.append(creation(ORDER, next_due=value))

    assert [summary async for summary in store.scan(Query())] == []


async def test_a_lone_surrogate_is_refused_before_it_is_written() -> None:
    stored: dict[str, bytes] = {}

    with pytest.raises(Misuse, match="surrogate"):
        await open_store(MemoryObjects(stored)).append(creation(ORDER, custom_status="\ud800"))

    assert stored == {}


async def test_h4_my_turn_is_found_after_the_instance_was_replaced() -> None:
    """`recent` goes on over incarnations."""
    store = open_store(MemoryObjects({}))
    mine = addition(ORDER, 1, turn_id="mine", status="Completed")
    await begin(store)
    await store.append(mine)
    await store.append(creation(ORDER, "second", turn_id="again", expected=2))

    assert await store.append(mine) == Committed(2)


async def test_h4_my_turn_is_found_among_more_than_a_thousand_later_ones() -> None:
    """Longer ago than `recent` goes back: it is in a chunk."""
    store = open_store(MemoryObjects({}))
    await begin(store, records=1000)

    assert await store.append(addition(ORDER, 1)) == Committed(2)
    assert await store.append(addition(ORDER, 1, turn_id="another's")) == Conflict(1000)


FATES = st.lists(st.sampled_from(["", "", "lost", "late", "refused"]), max_size=60)
MOVES = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["append", "create", "purge", "land"])), max_size=25)


@given(moves=MOVES, fates=FATES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_two_stores_over_a_faulty_service_never_fork_lose_or_double(
    moves: list[tuple[int, str]], fates: list[str]
) -> None:
    asyncio.run(_play(moves, fates))


async def _play(moves: list[tuple[int, str]], fates: list[str]) -> None:
    stored: dict[str, bytes] = {}
    services = [FaultyObjects(stored, fates), FaultyObjects(stored, fates[::-1])]
    stores = [open_store(service) for service in services]
    committed: list[bytes] = []
    last, is_live = 0, False
    for number, (who, move) in enumerate(moves):
        store, record = stores[who], b"%d " % number * 9000
        if move == "land":
            await services[0].land()
            await services[1].land()
        elif move == "purge":
            outcome = await _purge_until_definite(store, last)
            assert isinstance(outcome, Purged) == is_live or not last or not is_live
            if is_live:
                assert isinstance(outcome, Purged)
                last, is_live, committed = outcome.version, False, []
        else:
            is_create = move == "create"
            make = creation if is_create else addition
            append = (
                make(ORDER, f"life-{number}", expected=last, record=record, turn_id=str(number))
                if is_create
                else (addition(ORDER, max(last, 1), record=record, turn_id=str(number)))
            )
            outcome = await until_definite(store, append)
            assert isinstance(outcome, Committed) == (is_create or is_live)
            if isinstance(outcome, Committed):
                last, is_live = append.version, True
                committed = [record] if is_create else [*committed, record]
        await _check(stores, last, committed if is_live else None)


async def _check(stores: Sequence[HistoryStore], last: int, committed: list[bytes] | None) -> None:
    for store in stores:
        found = await store.read(ORDER)
        if committed is not None:
            assert isinstance(found, Head)
            assert (found.version, [record.data for record in found.records]) == (last, committed)
        else:
            assert isinstance(found, Tombstone if last else Missing)


async def _purge_until_definite(store: HistoryStore, expected: int) -> Purged | Conflict | Missing:
    for _ in range(100):
        try:
            return await store.purge(ORDER, expected)
        except (Unknown, Unavailable):
            continue
    pytest.fail("no definite answer in a hundred attempts")
