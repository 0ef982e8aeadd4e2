"""Everything at once, by seed: deaths, lost answers, outages, late workers and small caches. All ends well."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from _faults import Life, LosesAnswers, Outage
from _harness import World, inputs

from perdure import events
from perdure.authoring import Event, Registry, Retry, activity, orchestration
from perdure.errors import SubOrchestrationError, Unavailable, Unknown

if TYPE_CHECKING:
    from _harness import Process

    from perdure.authoring import Definition

SEEDS = range(25)
INSTANCES = 6
EVENTS = 3

go: Event[int] = Event("go")

tries: Counter[str] = Counter()


@activity
async def add(left: int, right: int) -> int:
    await asyncio.sleep(0)
    return left + right


@activity(queue="far")
async def far(value: int) -> int:
    return value * 2


@activity(retry=Retry(attempts=10, first_delay=1))
async def shaky(name: str) -> str:
    tries[name] += 1
    if tries[name] % 3:
        raise ConnectionError(name)
    return name


@orchestration
async def child(value: int) -> int:
    return await add(value, await far(value))


@orchestration
async def story(name: str) -> list[object]:
    total = sum(await asyncio.gather(add(1, 2), child(3), far(4)))
    read = [await go() for _ in range(EVENTS)]
    try:
        async with asyncio.timeout(7):
            await go()
    except TimeoutError:
        total += 1
    try:
        await child.options(id=f"{name}:2")(0)  # taken: it is the id that the child above was given
    except SubOrchestrationError as error:
        if error.failure.type != "perdure.AlreadyExists":
            raise
    await asyncio.sleep(3)
    return [await shaky(name), total, read]


CODE: tuple[Definition, ...] = (add, far, shaky, child, story)


class Chaos:
    """One world and one seed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.outage = Outage()
        self.alive: list[Process] = []

    async def begin_process(self) -> None:
        """Begin a worker that will die, whose answers get lost, and that meets the outage."""
        chance = self.random
        life = Life(dies_at=chance.choice([0, chance.randint(1, 400)]))
        fates = chance.choices(["ok", "before", "after"], weights=[8, 1, 1], k=2_000)
        process = await self.world.process(
            life=life,
            wrap=lambda committer: LosesAnswers(self.outage.committer(committer), fates),
            wrap_store=self.outage.store,
            wrap_queue=self.outage.queue,
        )
        await process.work(
            *CODE,
            tasks=("default", "far"),
            cache_instances=chance.choice([0, 1, 100]),
            activities_max=chance.choice([1, 3, 64]),
            lease_seconds=chance.choice([5, 30]),
            replay_check=chance.choice(["never", "always"]),
        )
        self.alive.append(process)

    async def happen(self) -> None:
        """One thing happens."""
        chance = self.random
        self.alive = [process for process in self.alive if not process.life.is_over]
        what = chance.random()
        if what < 0.25 and len(self.alive) < 4:
            await self.begin_process()
        elif what < 0.35 and self.alive:
            await self.alive.pop(chance.randrange(len(self.alive))).kill()
        elif what < 0.45 and self.alive:
            process = self.alive.pop(chance.randrange(len(self.alive)))
            assert process.worker is not None
            await self.world.finish(asyncio.wait([asyncio.ensure_future(self._stop(process))]))
        elif what < 0.55:
            self.outage.is_on = not self.outage.is_on
        await self.world.clock.advance(chance.choice([0, 0.05, 1, 6, 40]))

    @staticmethod
    async def _stop(process: Process) -> None:
        assert process.worker is not None
        await process.worker.stop(drain_seconds=0)


async def _start(world: World, name: str) -> None:
    """Start and send from a client whose answers get lost."""
    chance = random.Random(name)
    fates = chance.choices(["ok", "before", "after"], weights=[2, 1, 1], k=200)
    client = (await world.process(wrap=lambda committer: LosesAnswers(committer, fates))).client
    await _until_done(lambda: client.start(story(name), id=name, if_exists="return"))
    for number in range(EVENTS):
        await world.clock.sleep(chance.choice([0, 1, 10]))
        await _until_done(lambda number=number: client.send(name, go, number, event_id=f"{name}-{number}"))


async def _until_done(call: Any) -> None:
    while True:
        try:
            await call()
        except (Unknown, Unavailable):
            continue
        return


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_every_instance_ends_with_its_result(seed: int) -> None:
    tries.clear()
    async with World(atomic=bool(seed % 2), seed=seed) as world:
        chaos = Chaos(world, seed)
        names = [f"story-{number}" for number in range(INSTANCES)]
        starting = [asyncio.ensure_future(_start(world, name)) for name in names]
        for _ in range(60):
            await chaos.happen()
        chaos.outage.is_on = False
        for process in chaos.alive:
            await process.kill()
        await world.worker(*CODE, tasks=("default", "far"))
        await world.finish(asyncio.gather(*starting))

        for name in names:
            run = await world.client.get(name)
            told, total, read = await world.result(run)
            assert (told, total) == (name, 3 + 9 + 8 + 1)
            assert sorted(read) == list(range(EVENTS))
            consumed = [each.message_id for each in inputs(await world.history(run), events.EventRaised)]
            assert sorted(consumed) == [f"{name}-{number}" for number in range(EVENTS)]
        await world.pass_seconds(200)
        await world.judge(Registry(CODE))
        assert world.dead() == []
        assert all(summary.status in {"Completed", "Failed"} for summary in await world.summaries())
        for queue in ("turns:default", "tasks:default", "tasks:far"):
            assert world.waiting(queue) == []
