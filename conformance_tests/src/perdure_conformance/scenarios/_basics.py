"""What every orchestration does: take an input, call activities one after the other, return."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from perdure import NotFound, activity, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, echo, number, summing, waiting
from perdure_conformance.scenarios._scene import turns_of

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["BasicScenarios"]

VALUES: dict[str, object] = {
    "null": None,
    "zero": 0,
    "false": False,
    "no text": "",
    "no items": [],
    "no keys": {},
    "a fraction": -0.5,
    "a large number": 2**63,
    "other scripts": "注文 🦆 \u202e e\u0301",
    "null byte": "\x00",
    "all at once": [None, {"a": [1.5, False, ""], "": {}}],
}


@dataclass
class Order:
    """What is ordered."""

    id: str
    lines: list[int]
    note: str | None = None


@orchestration
async def empty() -> None:
    """End at once."""


@orchestration
async def passing_on(value: Any) -> Any:
    return await echo(value)


@orchestration
async def chaining(count: int) -> list[int]:
    values = [1]
    for _ in range(count):
        values.append(await double(values[-1]))
    return values


@activity
async def reverse(order: Order) -> Order:
    return Order(order.id, order.lines[::-1], order.note)


@orchestration
async def reversing(order: Order) -> Order:
    assert isinstance(order, Order)
    return await reverse(order)


@activity
def joined(first: str, second: str = "b", *, third: str, last: str = "d") -> str:
    return f"{first}{second}{third}{last}"


@orchestration
async def joining() -> list[str]:
    return [await joined("a", third="c"), await joined("1", "2", last="4", third="3")]


@orchestration(name="greeting", version="1")
async def greeting_1() -> str:
    await number()
    return "hello"


@orchestration(name="greeting", version="2")
async def greeting_2() -> str:
    await number()
    return "good morning"


class BasicScenarios(Scenarios):
    async def test_an_empty_orchestration_starts_and_ends_and_does_nothing_between(self, scene: Scene) -> None:
        await scene.worker(empty)

        run = await scene.start(empty())

        await scene.result(run)
        (turn,) = turns_of(await scene.history(run))
        assert [type(decision) for decision in turn.decisions] == [events.ExecutionCompleted]

    async def test_an_orchestration_that_calls_an_activity_gives_its_result(self, scene: Scene) -> None:
        await scene.worker(doubling, double)

        assert await scene.outcome(doubling(21)) == 42

    @pytest.mark.parametrize("count", [2, 30])
    async def test_a_chain_gives_its_results_in_order_over_as_many_turns(self, scene: Scene, count: int) -> None:
        await scene.worker(chaining, double)

        run = await scene.start(chaining(count))

        assert await scene.result(run) == [2**each for each in range(count + 1)]
        assert len(turns_of(await scene.history(run))) == count + 1

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    async def test_a_value_goes_through_input_activity_and_result_unchanged(self, scene: Scene, value: object) -> None:
        await scene.worker(passing_on, echo)

        answer = await scene.outcome(passing_on(value))

        assert answer == value
        assert type(answer) is type(value)

    async def test_values_have_the_types_of_the_annotations_everywhere(self, scene: Scene) -> None:
        await scene.worker(reversing, reverse)

        assert await scene.outcome(reversing(Order("a", [1, 2]))) == Order("a", [2, 1])

    async def test_a_handle_that_knows_no_orchestration_gives_plain_data(self, scene: Scene) -> None:
        await scene.worker(reversing, reverse)
        await scene.start(reversing(Order("a", [1, 2])), id="x")

        assert await scene.result(await scene.client.get("x")) == {"id": "a", "lines": [2, 1], "note": None}

    async def test_arguments_go_by_position_by_name_and_by_default(self, scene: Scene) -> None:
        await scene.worker(joining, joined)

        assert await scene.outcome(joining()) == ["abcd", "1234"]

    async def test_many_instances_run_at_once_and_do_not_mix(self, scene: Scene) -> None:
        await scene.worker(chaining, double)
        runs = [await scene.start(chaining(each % 4), id=f"i-{each}") for each in range(24)]

        results = await scene.finish(asyncio.gather(*(run.result() for run in runs)))

        assert [len(result) for result in results] == [each % 4 + 1 for each in range(24)]
        assert {each.status for each in await scene.instances()} == {"Completed"}

    async def test_a_result_is_there_for_whoever_asks_before_and_after_the_end(self, scene: Scene) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting())
        askers = [asyncio.ensure_future(run.result()) for _ in range(10)]
        await scene.turned(run)

        await scene.send(run, number, 4)

        assert await scene.finish(asyncio.gather(*askers)) == [4] * 10
        assert await run.result(timeout_seconds=0) == 4

    async def test_a_result_is_seen_by_a_client_of_another_process(self, scene: Scene) -> None:
        other = await scene.process()
        run = await scene.start(doubling(1), id="x")
        asking = asyncio.ensure_future((await other.client.get("x")).result())
        await scene.worker(doubling, double)

        assert await scene.finish(asking) == 2
        assert await scene.result(run) == 2

    async def test_a_result_that_does_not_come_in_time_is_a_timeout_and_the_instance_goes_on(
        self, scene: Scene
    ) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting(), id="x")

        with pytest.raises(TimeoutError, match="'x'"):
            await scene.finish(run.result(timeout_seconds=scene.moment))

        await scene.send(run, number, 1)
        assert await scene.result(run) == 1

    async def test_nobody_can_be_asked_who_is_not_there(self, scene: Scene) -> None:
        with pytest.raises(NotFound, match="nobody"):
            await scene.client.get("nobody")
        with pytest.raises(NotFound, match="nobody"):
            await scene.client.history("nobody")

    async def test_an_instance_keeps_its_version_while_a_newer_one_is_there(self, scene: Scene) -> None:
        """A deploy adds a version; what runs already is not changed by it."""
        first = await scene.worker(greeting_1)
        old = await scene.start(greeting_1())
        await scene.turned(old)
        await scene.stop(first)

        await scene.worker(greeting_1, greeting_2)
        new = await scene.start(greeting_2())
        for run in (old, new):
            await scene.send(run, number, 0)

        assert await scene.result(old) == "hello"
        assert await scene.result(new) == "good morning"
        assert [(await run.summary()).version for run in (old, new)] == ["1", "2"]

    async def test_an_instance_is_running_while_it_waits_and_closed_when_it_has_ended(self, scene: Scene) -> None:
        run = await scene.start(summing(1))
        assert (await run.summary()).status == "Pending"
        await scene.worker(summing)
        await scene.turned(run)
        assert (await run.summary()).status == "Running"

        await scene.send(run, number, 1)

        assert await scene.result(run) == [1]
        assert (await run.summary()).status == "Completed"
