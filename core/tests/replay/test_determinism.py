"""Names, hashes, ids and randomness: the same on every replay, different between instances."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from replay_support import Code, Driven, activity, child, encode, event, loop, result_of

from perdure.commands import CancelTask, ScheduleTask
from perdure.errors import NotDeterministic
from perdure.events import TaskCompleted
from perdure.replay import TurnDoomed, _chance

if TYPE_CHECKING:
    from collections.abc import Iterator


def outcome(code: Code, **options: int) -> object:
    return result_of(Driven(code, **options).start())  # type: ignore[arg-type]


async def stand_ins() -> list[object]:
    rng = loop().rng()
    assert rng is loop().rng()
    ids = [uuid.UUID(bytes=loop().random_id_bytes(), version=4).hex for _ in range(3)]
    assert len(set(ids)) == 3
    return [loop().now(), loop().time(), rng.random(), rng.randrange(10**9), *ids]


def test_ids_and_randomness_repeat_for_a_seed_and_an_execution() -> None:
    assert outcome(stand_ins) == outcome(stand_ins)
    assert outcome(stand_ins, seed=1) != outcome(stand_ins, seed=2)
    assert outcome(stand_ins, execution_count=0) != outcome(stand_ins, execution_count=1)


def test_the_derived_numbers_never_change_between_releases() -> None:
    """Recorded histories depend on them."""
    assert outcome(stand_ins, seed=42) == [
        1000.0,
        1000.0,
        0.5134029347090396,
        654653908,
        "5c7b6d4a6f1e466680e295b3bd2272b0",
        "c14f724cd81640839833a60cda0d3411",
        "26561eb7fb0f49bfa7fe3b4407838f76",
    ]
    assert _chance.child_seed(42, 0, 1) == 748038464181129549
    assert _chance.fraction(42, 0, 1) == 0.2821835979116065
    assert _chance.hash_salt(42, 0) == 16597587270899084528


async def hashes() -> list[int]:
    async def nothing() -> None:
        return None

    tasks = [asyncio.create_task(nothing()) for _ in range(3)]
    futures = [loop().create_future() for _ in range(3)]
    gathered = asyncio.gather(*tasks)
    calls = [activity("a"), activity("a"), child("b")]
    found = [hash(each) for each in (*tasks, *futures, gathered, *calls)]
    for call in calls:
        call.close()
    await gathered
    return found


def test_hashes_of_tasks_futures_gatherings_and_calls_are_derived_from_the_seed() -> None:
    found = outcome(hashes)

    assert found == outcome(hashes)
    assert found != outcome(hashes, seed=8)
    assert found != outcome(hashes, execution_count=1)
    assert len(set(found)) == len(found)  # type: ignore[arg-type, call-overload]


def test_instances_share_no_hashes_even_if_their_seeds_are_neighbours() -> None:
    """Equal hashes of thousands of instances would collide in asyncio's process-wide set of tasks."""
    all_hashes = [each for seed in range(200) for each in outcome(hashes, seed=seed)]  # type: ignore[attr-defined]

    assert len(set(all_hashes)) == len(all_hashes)


def test_tasks_are_named_by_number_unless_code_names_them() -> None:
    async def naming() -> list[str]:
        async def nothing() -> None:
            return None

        main = asyncio.current_task()
        assert main is not None
        first = asyncio.create_task(nothing())
        named = asyncio.create_task(nothing(), name="mine")
        last = asyncio.create_task(nothing())
        await asyncio.wait([first, named, last])
        return [each.get_name() for each in (main, first, named, last)]

    assert outcome(naming) == ["task-1", "task-2", "mine", "task-4"]


def test_the_context_that_code_gives_a_task_is_used() -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default="default")

    async def giving() -> list[str]:
        context = contextvars.copy_context()
        context.run(variable.set, "of the task")

        async def get() -> str:
            return variable.get()

        variable.set("of main")
        return [await asyncio.create_task(get(), context=context), await asyncio.create_task(get())]

    assert outcome(giving) == ["of the task", "of main"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_asks_while_it_is_made() -> None:
    async def eager() -> None:
        task = loop().create_task(activity("first"), eager_start=True)
        later = loop().create_task(activity("third"), eager_start=False)
        await activity("second")
        await asyncio.wait([task, later])

    asked = Driven(eager).start()
    assert [each.name for each in asked if isinstance(each, ScheduleTask)] == ["first", "second", "third"]


def test_a_task_that_is_not_eager_may_say_so_on_every_python() -> None:
    async def lazy() -> None:
        later = loop().create_task(activity("second"), eager_start=False)
        await activity("first")
        await later

    assert names(Driven(lazy)) == ["first", "second"]


def names(driven: Driven) -> list[str]:
    return [each.name for each in driven.start() if isinstance(each, ScheduleTask)]


async def step(name: str) -> None:
    await activity(name)


@pytest.mark.parametrize("kind", [list, tuple])
def test_as_completed_starts_raw_coroutines_in_the_order_of_the_list(kind: type) -> None:
    async def completing() -> None:
        for each in asyncio.as_completed(kind(step(f"s{index}") for index in range(20))):
            await each

    assert names(Driven(completing)) == [f"s{index}" for index in range(20)]


def test_as_completed_takes_calls_tasks_and_coroutines_together() -> None:
    async def completing() -> None:
        repeated = step("b")
        mixed = [asyncio.create_task(step("a")), repeated, activity("c"), repeated, step("d")]
        for each in asyncio.as_completed(mixed):
            await each

    assert names(Driven(completing)) == ["a", "b", "c", "d"]


def test_as_completed_of_raw_coroutines_without_an_order_is_refused() -> None:
    async def completing() -> None:
        unordered = {step("a"), step("b")}
        try:
            for each in asyncio.as_completed(unordered):
                await each
        finally:
            for coroutine in unordered:
                coroutine.close()

    driven = Driven(completing)
    with pytest.raises(TurnDoomed, match=r"Give it a list\.") as caught:
        driven.start()
    assert isinstance(caught.value.cause, NotDeterministic)
    assert "in completing" in str(caught.value)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="as_completed can be iterated asynchronously from 3.13 on")
def test_as_completed_can_be_iterated_asynchronously() -> None:
    async def completing() -> None:
        async for each in asyncio.as_completed([step(f"s{index}") for index in range(20)]):  # type: ignore[attr-defined]
            await each

    assert names(Driven(completing)) == [f"s{index}" for index in range(20)]


def test_as_completed_of_calls_needs_no_list_since_calls_hash_by_number() -> None:
    async def completing() -> list[object]:
        return [await each for each in asyncio.as_completed({activity(f"s{index}") for index in range(20)})]

    assert names(Driven(completing)) == names(Driven(completing))
    assert sorted(names(Driven(completing))) == sorted(f"s{index}" for index in range(20))


def test_the_order_of_a_set_of_gatherings_is_the_same_every_time() -> None:
    async def cancelling() -> None:
        gatherings = {asyncio.gather(activity(f"a{index}"), activity(f"b{index}")) for index in range(10)}
        await asyncio.sleep(0)
        for each in gatherings:
            each.cancel()
        await asyncio.wait(gatherings)

    def cancelled() -> Iterator[int]:
        return (each.seq for each in Driven(cancelling).start() if isinstance(each, CancelTask))

    assert list(cancelled()) == list(cancelled())
    assert len(list(cancelled())) == 20


def test_done_tasks_are_let_go() -> None:
    async def many() -> int:
        for _ in range(1000):
            await asyncio.create_task(asyncio.sleep(0))
        return len(loop().tasks._all)

    assert outcome(many) < 130  # type: ignore[operator]


def test_async_generators_that_ended_are_let_go() -> None:
    async def one() -> object:
        yield 1

    async def many() -> int:
        for _ in range(1000):
            async for _each in one():
                pass
        return len(loop()._generators)

    assert outcome(many) < 130  # type: ignore[operator]


def test_is_replaying_turns_exactly_where_the_record_ends() -> None:
    seen: list[bool] = []

    async def watching() -> None:
        for name in "abc":
            await activity(name)
            seen.append(loop().is_replaying)
        await event("end")

    driven = Driven(watching)
    driven.start()
    driven.turn(TaskCompleted(1, encode(None)))
    seen.clear()
    again = driven.replayed()
    again.turn(TaskCompleted(2, encode(None)))

    assert seen == [True, False]
