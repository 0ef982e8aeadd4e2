"""Large values: kept out of line wherever they do not fit, refused where no hub of this kind keeps them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from perdure import ActivityError, Misuse, activity, events, orchestration
from perdure_conformance.harness import at_limit
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import echo, text

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["PayloadScenarios"]

ROUND_THE_LIMIT = pytest.mark.parametrize("over", [-64, 0, 1, 64_000], ids="limit{:+}".format)
"""Characters more than go in line; the framing of a value takes some bytes of its own."""


@activity
async def make(length: int) -> str:
    return "m" * length


@activity
async def measure(value: str) -> int:
    return len(value)


@orchestration
async def echoing(value: str) -> str:
    return str(await echo(value))


@orchestration
async def measuring(value: str) -> int:
    return await measure(value)


@orchestration
async def making(length: int) -> int:
    return len(await make(length))


@orchestration
async def returning(length: int) -> str:
    return "r" * length


@orchestration
async def reading() -> int:
    return len(await text())


@orchestration
async def child(value: str) -> str:
    return value + await text()


@orchestration
async def parent(length: int) -> int:
    return len(await child("p" * length))


@orchestration
async def failing_at_length(length: int) -> None:
    raise ValueError("f" * length)


@orchestration
async def careful(length: int) -> str:
    try:
        await make(length)
    except ActivityError as error:
        return error.failure.type
    return "?"


@orchestration
async def many_small(count: int, length: int) -> int:
    return sum(map(len, await asyncio.gather(*(echo("z" * length) for _ in range(count)))))


class PayloadScenarios(Scenarios):
    @ROUND_THE_LIMIT
    async def test_a_value_of_any_size_goes_through_input_activity_and_result(self, scene: Scene, over: int) -> None:
        await scene.worker(echoing, echo)
        value = "x" * (scene.hub.inline_bytes_max + over)

        assert await scene.outcome(echoing(value)) == value

    @ROUND_THE_LIMIT
    async def test_an_event_of_any_size_reaches_the_code(self, scene: Scene, over: int) -> None:
        await scene.worker(reading)
        run = await scene.start(reading())
        length = scene.hub.inline_bytes_max + over

        await scene.send(run, text, "e" * length)

        assert await scene.result(run) == length

    @ROUND_THE_LIMIT
    async def test_a_childs_input_and_its_answer_may_be_of_any_size(self, scene: Scene, over: int) -> None:
        await scene.worker(parent, child)
        length = scene.hub.inline_bytes_max + over
        run = await scene.start(parent(length), id="p")
        await scene.has_status("p:1", "Running")

        await scene.send(await scene.client.get("p:1"), text, "end")

        assert await scene.result(run) == length + 3

    @pytest.mark.parametrize("what", ["input", "result of an activity", "result"])
    async def test_one_large_value_is_enough(self, scene: Scene, what: str) -> None:
        await scene.worker(measuring, making, returning, make, measure)
        length = scene.hub.inline_bytes_max + 1_000

        calls: dict[str, Any] = {
            "input": measuring("x" * length),
            "result of an activity": making(length),
            "result": returning(length),
        }
        chosen = calls.pop(what)
        for other in calls.values():
            other.close()
        answer = await scene.outcome(chosen)

        assert answer in {length, "r" * length}

    async def test_large_values_are_replayed_by_the_worker_that_comes_after(self, scene: Scene) -> None:
        @orchestration
        async def keeping(value: str) -> list[int]:
            made = await make(len(value))
            await text()
            return [len(value), len(made)]

        first = await scene.worker(keeping, make)
        length = scene.hub.inline_bytes_max + 1_000
        run = await scene.start(keeping("x" * length))
        await scene.turned(run, 2)
        await scene.stop(first)

        await scene.worker(keeping, make)
        await scene.send(run, text, "go on")

        assert await scene.result(run) == [length, length]

    async def test_a_history_shows_large_values_in_line(self, scene: Scene) -> None:
        await scene.worker(echoing, echo)
        value = "x" * (scene.hub.inline_bytes_max + 1_000)
        run = await scene.start(echoing(value))
        await scene.result(run)

        told = [event for _, event in (await scene.history(run)).events()]

        sizes = [len(each.input) for each in told if isinstance(each, events.TaskScheduled)]  # type: ignore[arg-type]
        sizes += [len(each.result) for each in told if isinstance(each, events.TaskCompleted)]  # type: ignore[arg-type]
        assert len(sizes) == 2
        assert min(sizes) >= len(value)

    async def test_the_largest_values_are_those_of_their_own_instance(self, scene: Scene) -> None:
        await scene.worker(echoing, echo)
        length = scene.hub.inline_bytes_max + 10
        values = [letter * length for letter in "abc"]
        runs = [await scene.start(echoing(value), id=value[0]) for value in values]

        assert [await scene.result(run) for run in runs] == values

    async def test_many_small_values_of_one_turn_go_where_there_is_room(self, scene: Scene) -> None:
        """Each is small enough to be in line, and together they may be more than a record holds."""
        await scene.worker(many_small, echo, replay_check="never")

        assert await scene.outcome(many_small(100, 4_000)) == 400_000

    async def test_a_long_message_of_a_failure_is_cut_and_reaches_the_client(self, scene: Scene) -> None:
        await scene.worker(failing_at_length)

        failure = await scene.failure(failing_at_length(2_000_000))

        assert failure.type == "ValueError"
        assert 1_000 < len(failure.message) <= 4_096

    async def test_an_input_that_no_hub_of_this_kind_keeps_is_refused(self, scene: Scene) -> None:
        most = at_limit(scene.hub.store.capabilities.payload_bytes_max, "payload_bytes_max")

        with pytest.raises(Misuse, match="bytes"):
            await scene.client.start(measuring("x" * (most + 1)))

        assert await scene.instances() == []

    async def test_a_result_that_no_hub_of_this_kind_keeps_is_the_activitys_failure(self, scene: Scene) -> None:
        most = at_limit(scene.hub.store.capabilities.payload_bytes_max, "payload_bytes_max")
        await scene.worker(careful, make)

        assert await scene.outcome(careful(most + 1)) == "perdure.errors.Misuse"
