"""`replay_check="always"`: each turn is run a second time from its history, and compared before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _harness import turns

from perdure.authoring import Event, activity, orchestration, uuid4

if TYPE_CHECKING:
    from _harness import World

go: Event[int] = Event("go")


@activity
async def one(value: int) -> int:
    return value + 1


@activity
async def two(value: int) -> int:
    return value + 2


class Coin:
    """What is not recorded, and so is another thing each time."""

    def __init__(self) -> None:
        self.tosses = 0

    def toss(self) -> bool:
        self.tosses += 1
        return self.tosses % 2 == 1


@pytest.mark.parametrize("cache_instances", [0, 1_000])
async def test_code_that_depends_on_what_is_not_recorded_stalls_before_anything_is_committed(
    world: World, cache_instances: int
) -> None:
    coin = Coin()

    @orchestration
    async def fickle() -> int:
        await go()
        return await (one(1) if coin.toss() else two(1))

    await world.worker(fickle, one, two, cache_instances=cache_instances)
    run = await world.client.start(fickle())
    await world.settle()
    await run.send(go, 1)
    await world.settle()

    stalled = (await run.summary()).stalled
    assert "run a second time" in stalled
    assert "activity 'one'" in stalled
    assert "activity 'two'" in stalled
    assert len(turns(await world.history(run))) == 1
    assert world.waiting("tasks:default") == []


async def test_without_the_check_the_same_code_is_not_found_out(world: World) -> None:
    """That is what the check is for."""
    coin = Coin()

    @orchestration
    async def fickle() -> int:
        await go()
        return await (one(1) if coin.toss() else two(1))

    await world.worker(fickle, one, two, replay_check="never")
    run = await world.client.start(fickle())
    await run.send(go, 1)

    assert await world.result(run) == 2


async def test_an_outcome_that_differs_in_kind_is_found(world: World) -> None:
    coin = Coin()

    @orchestration
    async def fickle() -> str:
        if coin.toss():
            raise LookupError
        return "fine"

    await world.worker(fickle)
    run = await world.client.start(fickle())
    await world.settle()

    assert "run a second time" in (await run.summary()).stalled


async def test_code_that_uses_the_stand_ins_passes(world: World) -> None:
    @orchestration
    async def honest() -> int:
        for _ in range(5):
            await (one(1) if uuid4().int % 2 else two(1))
        return 5

    await world.worker(honest, one, two)

    assert await world.result(await world.client.start(honest())) == 5


async def test_the_second_run_is_closed_and_leaves_the_first_one_live(world: World) -> None:
    closed: list[str] = []

    @orchestration
    async def waiting() -> int:
        try:
            return await go() + await go()
        finally:
            closed.append("closed")

    process = await world.worker(waiting)
    run = await world.client.start(waiting())
    await world.settle()
    assert closed == ["closed"]
    assert process.worker is not None
    assert len(process.worker._seats) == 1

    await run.send(go, 1)
    await run.send(go, 2)
    assert await world.result(run) == 3
    assert process.worker._seats.graveyard == []
