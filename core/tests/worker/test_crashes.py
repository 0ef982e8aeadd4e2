"""The process dies at each of its calls to the hub, one after the other: nothing is lost or consumed twice (R5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from _faults import Life
from _harness import World, inputs

from perdure import events
from perdure.authoring import Event, Registry, Retry, activity, orchestration
from perdure.errors import SubOrchestrationError
from perdure.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.authoring import Definition, Orchestration

go: Event[int] = Event("go")

effects: Counter[str] = Counter()


class SmallStore(MemoryStore):
    """A store that has payloads out of line soon."""

    capabilities = msgspec.structs.replace(MemoryStore.capabilities, inline_bytes_max=200)


@pytest.fixture(autouse=True)
def _nothing_done_yet() -> None:
    effects.clear()


@activity
async def effect(name: str) -> str:
    effects[name] += 1
    return name


@activity(queue="far")
async def far(name: str) -> str:
    effects[name] += 1
    return name


@activity(retry=Retry(attempts=3, first_delay=1))
async def second_time(name: str) -> str:
    effects[name] += 1
    if effects[name] == 1:
        raise ConnectionError
    return name


@orchestration
async def chain() -> list[str]:
    return [await effect("a"), await effect("b")]


@orchestration
async def child(name: str) -> str:
    return await effect(name)


@orchestration
async def family() -> list[str]:
    return list(await asyncio.gather(child("a"), child.options(id="named")("b")))


@orchestration
async def taken() -> str:
    try:
        return await child.options(id="o")("a")
    except SubOrchestrationError as error:
        return error.failure.type


@orchestration
async def waiting() -> list[int]:
    await asyncio.sleep(5)
    values = [await go(), await go()]
    try:
        async with asyncio.timeout(10):
            await go()
    except TimeoutError:
        return values
    return []


@orchestration
async def elsewhere() -> list[str]:
    return [await far("a"), await second_time("b")]


@orchestration
async def large() -> int:
    return len(await effect("x" * 500)) + len(await child("y" * 500))


STORIES: list[tuple[Orchestration[..., Any], object]] = [
    (chain, ["a", "b"]),
    (family, ["a", "b"]),
    (taken, "perdure.AlreadyExists"),
    (waiting, [1, 2]),
    (elsewhere, ["a", "b"]),
    (large, 1_000),
]
CODE: tuple[Definition, ...] = (effect, far, second_time, chain, child, family, taken, waiting, elsewhere, large)


async def _story(world: World, definition: Orchestration[..., Any], life: Life) -> object:
    """Run one instance; the first worker has that life, others come after it."""
    first = await world.process(life=life)
    await first.work(*CODE, turns=("default",), tasks=("default",))
    await world.worker(far, turns=(), tasks=("far",))
    run = await world.client.start(definition(), id="o")
    if definition is waiting:
        await run.send(go, 1, event_id="one")
        await run.send(go, 2, event_id="two")
    ending = asyncio.ensure_future(run.result())

    def has_ended_or_died() -> bool:
        return ending.done() or life.is_over

    await world.until(has_ended_or_died)
    is_replaced = life.is_over
    if is_replaced:
        await first.kill()
        await world.worker(*CODE)
    result = await world.finish(ending)
    await world.pass_seconds(200)  # until every lease of the dead is over, and what it held was seen again
    if life.is_over and not is_replaced:  # it died over a guard, when all was done
        await first.kill()
        await world.worker(*CODE)
        await world.pass_seconds(200)
    return result


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "outbox"])
@pytest.mark.parametrize(("definition", "result"), STORIES, ids=lambda value: getattr(value, "name", ""))
async def test_r5_a_process_that_dies_at_any_of_its_calls_loses_nothing_and_repeats_nothing_recorded(
    definition: Orchestration[..., Any],
    result: object,
    atomic: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    points = 0
    while True:
        effects.clear()
        life = Life(dies_at=points + 1)
        async with World(atomic=atomic, store_type=SmallStore, seed=points) as world:
            assert await _story(world, definition, life) == result, life.last
            if not life.is_over:
                break
            await _check(world, life)
        points += 1
    assert points > 20


async def _check(world: World, life: Life) -> None:
    where = f"died at point {life.points}, {life.last}"
    await world.judge(Registry(CODE))
    for summary in await world.summaries():
        assert summary.status == "Completed", (where, summary)
        consumed = [each.message_id for each in inputs(await world.history(summary.key), events.EventRaised)]
        assert len(consumed) == len(set(consumed)), where
    assert world.dead() == [], where
    left = world.waiting("turns:default") + world.waiting("tasks:default") + world.waiting("tasks:far")
    assert left == [], where
    assert all(count <= 3 for count in effects.values()), (where, effects)


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "outbox"])
async def test_r5_an_instance_that_stalled_as_its_process_died_is_still_tried_again(atomic: bool) -> None:  # noqa: FBT001
    """The record says that it stalled; the message that has it tried again must not get lost between the two."""

    @orchestration
    async def waits_for_code() -> str:
        return await effect("a")

    points = 0
    while True:
        life = Life(dies_at=points + 1)
        async with World(atomic=atomic, seed=points) as world:
            first = await world.process(life=life)
            await first.work(chain)
            run = await world.client.start(waits_for_code())
            await world.pass_seconds(40)
            if not life.is_over:
                break
            await first.kill()
            second = await world.worker(chain)
            await world.pass_seconds(200)
            assert await world.is_stalled(run), (life.points, life.last)
            # Without a transaction a try may be sent and not completed: it comes again and is sent twice from then on.
            tries = len(world.waiting("turns:default"))
            assert tries == 1 or (tries == 2 and not atomic), (life.points, life.last)

            await second.stop()
            await world.worker(waits_for_code, effect)
            assert await world.result(run) == "a"
        points += 1
    assert points > 10


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "outbox"])
async def test_r8b_a_client_that_dies_while_it_starts_an_instance_leaves_none_that_never_runs(atomic: bool) -> None:  # noqa: FBT001
    """Between the record and its message a client may die: whatever is recorded then runs all the same."""
    points = 0
    while True:
        life = Life(dies_at=points + 1)
        async with World(atomic=atomic, seed=points) as world:
            process = await world.process(life=life)
            await world.worker(*CODE)
            starting = asyncio.ensure_future(process.client.start(chain(), id="o"))
            await asyncio.wait([starting])
            error = starting.exception()

            await world.pass_seconds(600)

            summaries = await world.summaries()
            assert all(summary.status == "Completed" for summary in summaries), (life.points, life.last)
            assert world.waiting("turns:default") == []
            if error is None:
                assert len(summaries) == 1
                break
        points += 1
    assert points >= 2


async def test_a_killed_workers_activities_are_run_again_by_another(world: World) -> None:
    begun: list[str] = []

    def slow_of(who: str) -> Callable[..., Any]:
        @activity(name="slow")
        async def slow() -> str:
            begun.append(who)
            await world.clock.sleep(20)
            return who

        return slow

    @orchestration
    async def asking() -> str:
        slow: Any = slow_of("?")
        result: str = await slow()
        return result

    first = await world.worker(asking, slow_of("first"))  # type: ignore[arg-type]
    run = await world.client.start(asking())
    await world.pass_seconds(5)
    await first.kill()
    await world.worker(asking, slow_of("second"))  # type: ignore[arg-type]

    assert await world.result(run) == "second"
    assert begun == ["first", "second"]
