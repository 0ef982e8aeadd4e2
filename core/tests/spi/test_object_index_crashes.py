"""Whatever dies, gets no answer or happens at the same time: a scan lists what the heads say."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from _object_services import DyingObjects, RandomObjects, indexed, scanned, true_summaries, until_done
from perdure_conformance.material import addition, begin, creation, purge

from perdure.spi import Committed, Key, MemoryObjects, Query, Unavailable, Unknown
from perdure.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from perdure.spi import HistoryStore

T = TypeVar("T")
SEGMENTS_MAX = 2


@pytest.fixture(autouse=True)
def _merge_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make bases from a few segments, as a hub does that is in use for hours."""
    for module in ("_index_objects", "_index_writer"):
        monkeypatch.setattr(f"perdure.spi.object_history.{module}.SEGMENTS_MAX", SEGMENTS_MAX)


async def live(store: HistoryStore, clock: ManualClock) -> None:
    """Do everything that changes the index, and scan, as one client."""
    await begin(store, Key("done"))
    await begin(store, Key("gone"))
    await clock.advance(1)
    await store.append(addition(Key("done"), 1, status="Completed"))
    await clock.advance(1)
    await purge(store, Key("gone"), 1)
    await clock.advance(1)
    await store.append(creation(Key("new"), expected=0))
    assert len([summary async for summary in store.scan(Query())]) >= 2
    await clock.advance(1)
    await store.append(creation(Key("gone"), "second", expected=2, turn_id="again"))
    await clock.advance(2)
    await store.append(addition(Key("new"), 1, next_due=5.0))
    await store.aclose()


async def die_at(request: int, *, has_effect: bool, is_first: bool) -> int:
    """Live until a request, and see what is found afterwards; tell how many requests there were."""
    stored: dict[str, bytes] = {}
    clock = ManualClock()
    if not is_first:
        await begin(indexed(MemoryObjects(stored), clock, 1), Key("old"))
        await clock.advance(3)
        await scanned(clock, indexed(MemoryObjects(stored), clock, 2))
    objects = DyingObjects(stored, request, has_effect=has_effect)
    victim = indexed(objects, clock, 3)
    story, death = asyncio.ensure_future(live(victim, clock)), asyncio.ensure_future(objects.dead.wait())
    await asyncio.wait({story, death}, return_when=asyncio.FIRST_COMPLETED)
    death.cancel()
    if story.done():
        story.result()
    else:
        story.cancel()
        await asyncio.wait({story})
    await _check(stored, clock)
    return objects.requests


async def _check(stored: dict[str, bytes], clock: ManualClock) -> None:
    survivor = indexed(MemoryObjects(stored), clock, 4)
    truth = await true_summaries(stored, clock)
    assert await scanned(clock, survivor) == truth
    assert [name for name in stored if name.startswith("ix/marks/")] == []
    assert await scanned(clock, indexed(MemoryObjects(stored), clock, 5)) == truth


@pytest.mark.parametrize("is_first", [True, False], ids=["new hub", "old hub"])
@pytest.mark.parametrize("has_effect", [False, True], ids=["before", "after"])
async def test_h8_a_client_may_die_at_any_request(*, has_effect: bool, is_first: bool) -> None:
    count = await die_at(-1, has_effect=has_effect, is_first=is_first)

    for request in range(count):
        await die_at(request, has_effect=has_effect, is_first=is_first)

    assert count > 40


@pytest.mark.parametrize("seed", range(60))
async def test_h8_clients_that_scan_and_merge_at_once_lose_nothing(seed: int) -> None:
    """Requests overtake each other in another way for each seed."""
    stored: dict[str, bytes] = {}
    clock, chance = ManualClock(), random.Random(seed)
    clients = [indexed(RandomObjects(stored, chance), clock, number) for number in range(4)]
    for number in range(12):
        client = clients[number % 3]
        await client.append(creation(Key(f"{number:02}")))
        await client.append(addition(Key(f"{number // 2:02}"), 1, turn_id="late"))
        if number % 4 == 3:
            await asyncio.gather(*(scanned_without_time(client) for client in clients))
        await clock.advance(chance.choice([0.25, 1.0]))

    await until_done(clock, _scan_all(clients))

    await clock.advance(3)
    truth = await true_summaries(stored, clock)
    assert await scanned(clock, indexed(MemoryObjects(stored), clock, 9)) == truth
    assert await until_done(clock, _scan_all(clients)) == [[summary.key for summary in truth]] * 4


async def scanned_without_time(store: HistoryStore) -> None:
    """Begin a scan, and leave it if it waits for others."""
    scan = asyncio.ensure_future(anext(store.scan(Query()), None))
    for _ in range(200):
        await asyncio.sleep(0)
    scan.cancel()
    await asyncio.wait({scan})


async def _scan_all(clients: Sequence[HistoryStore]) -> list[list[str]]:
    async def scan(client: HistoryStore) -> list[str]:
        return [summary.key async for summary in client.scan(Query())]

    return await asyncio.gather(*map(scan, clients))


class Walk:
    """Clients that live, close and die over a service that goes wrong, in a way that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.stored: dict[str, bytes] = {}
        self.clock = ManualClock()
        self.chance = random.Random(seed)
        self.services: list[RandomObjects] = []
        self.clients: list[HistoryStore] = [self.open(), self.open()]
        self.versions: dict[Key, tuple[int, bool]] = {}

    def open(self) -> HistoryStore:
        self.services.append(RandomObjects(self.stored, self.chance, share=0.2))
        return indexed(self.services[-1], self.clock, len(self.services))

    async def step(self, number: int) -> None:
        who = self.chance.randrange(2)
        move = self.chance.choices(["append", "purge", "scan", "wait", "close", "die"], [9, 2, 3, 5, 1, 1])[0]
        if move == "wait":
            await self.clock.advance(self.chance.choice([0.1, 1, 1, 5]))
        elif move == "scan":
            await self.scan(self.clients[who])
        elif move == "close":
            await until_done(self.clock, self.clients[who].aclose())
            self.clients[who] = self.open()
        elif move == "die":
            await self.die_while_writing(number, who)
        else:
            await self.write(number, self.clients[who], is_purge=move == "purge")

    async def die_while_writing(self, number: int, who: int) -> None:
        """The clock does not move meanwhile: what has not happened by then never will."""
        victim = asyncio.ensure_future(self.clients[who].append(creation(Key(f"last words {number}"))))
        for _ in range(self.chance.randrange(20)):
            await asyncio.sleep(0)
        dead = self.services[-1]
        for service in self.services:
            if self.clients[who]._objects is service:  # type: ignore[attr-defined]
                dead = service
        dead.is_dead = True
        victim.cancel()
        await asyncio.wait({victim})
        self.clients[who] = self.open()

    async def write(self, number: int, client: HistoryStore, *, is_purge: bool) -> None:
        key = Key(f"{self.chance.randrange(6)}")
        version, is_live = self.versions.get(key, (0, False))
        if is_purge and is_live:
            while await self.tried(client.purge(key, version)) is None:
                pass
            self.versions[key] = (version + 1, False)
        elif not is_purge:
            append = (
                addition(key, version, turn_id=f"{number}", execution=number)
                if is_live
                else creation(key, f"{number}", expected=version)
            )
            answer = None
            while answer is None:
                answer = await self.tried(client.append(append))
            assert answer == Committed(version + 1)
            self.versions[key] = (version + 1, True)

    async def scan(self, client: HistoryStore) -> None:
        await self.tried(_scan_all([client]))

    async def tried(self, call: Coroutine[Any, Any, T]) -> T | None:
        try:
            return await until_done(self.clock, call)
        except (Unavailable, Unknown):
            return None


@pytest.mark.parametrize("seed", range(40))
async def test_h8_whatever_goes_wrong_a_scan_finds_what_there_is(seed: int) -> None:
    walk = Walk(seed)
    for number in range(60):
        await walk.step(number)

    for service in walk.services:
        service.share = 0.0
    await walk.clock.advance(3)

    assert sum(service.gone_wrong for service in walk.services) > 5
    assert await scanned(walk.clock, indexed(MemoryObjects(walk.stored), walk.clock, 99)) == (
        await true_summaries(walk.stored, walk.clock)
    )
    assert await scanned(walk.clock, walk.clients[0]) == await true_summaries(walk.stored, walk.clock)
