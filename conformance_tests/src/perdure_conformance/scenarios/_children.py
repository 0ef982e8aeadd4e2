"""Sub-orchestrations: their ids, their outcomes, and what a parent learns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure import AlreadyExists, Retry, SubOrchestrationError, activity, current, events, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, text, waiting

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["ChildScenarios"]


@orchestration
async def parent(value: int) -> int:
    return await doubling(value) + 1


@orchestration
async def grandparent(value: int) -> int:
    return await parent(value) + 100


@orchestration
async def many(count: int) -> int:
    return sum(await asyncio.gather(*(doubling(value) for value in range(count))))


@orchestration
async def naming(id: str) -> int:
    return await doubling.options(id=id)(5)


@orchestration
async def naming_what_is_taken(id: str) -> str:
    try:
        await doubling.options(id=id)(5)
    except SubOrchestrationError as error:
        return error.failure.type
    return "?"


@orchestration
async def failing(value: int) -> int:
    raise LookupError(f"no {value}")


@orchestration
async def careful() -> str:
    try:
        await failing(3)
    except SubOrchestrationError as error:
        return f"{error.name} {error.instance_id}: {error.failure}"
    return "?"


@orchestration
async def careless() -> int:
    return await failing(3)


@orchestration
async def giving_up() -> str:
    child = asyncio.create_task(waiting())
    first = await text()
    child.cancel()
    return f"{first}, {await text()}"


@orchestration(queue="slow")
async def late() -> None:
    """End at once, when somebody serves the queue."""


@orchestration
async def impatient(seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await late()
    except TimeoutError:
        return "gave up"
    return "?"


@orchestration(queue="other")
async def away(value: int) -> int:
    return await double(value)


@orchestration
async def home(value: int) -> int:
    return await away(value)


@orchestration
async def who_am_i() -> list[str]:
    place = current()
    return [place.name, place.instance_id, *place.tags.values()]


@orchestration
async def who_is_my_child() -> list[str]:
    return await who_am_i()


@orchestration
async def halving(depth: int) -> int:
    """Call itself, twice at each level."""
    if depth == 0:
        return 1
    return sum(await asyncio.gather(halving(depth - 1), halving(depth - 1)))


class ChildScenarios(Scenarios):
    async def test_a_child_without_an_id_gets_one_of_its_parents(self, scene: Scene) -> None:
        await scene.worker(parent, doubling, double)

        assert await scene.outcome(parent(4), id="p") == 9
        assert await scene.ids() == ["p", "p:1"]
        assert (await scene.summary("p:1")).parent == "p"

    async def test_children_of_children_work_as_well(self, scene: Scene) -> None:
        await scene.worker(grandparent, parent, doubling, double)

        assert await scene.outcome(grandparent(1), id="g") == 103
        assert await scene.ids() == ["g", "g:1", "g:1:1"]

    async def test_an_orchestration_may_call_itself(self, scene: Scene) -> None:
        await scene.worker(halving)

        assert await scene.outcome(halving(3)) == 8
        assert len(await scene.instances()) == 15

    @pytest.mark.parametrize("count", [3, 25])
    async def test_many_children_run_side_by_side(self, scene: Scene, count: int) -> None:
        await scene.worker(many, doubling, double)

        assert await scene.outcome(many(count)) == sum(range(count)) * 2
        assert len(await scene.instances(name=["doubling"])) == count

    @pytest.mark.parametrize("id", ["the child", "../p", "🦆" * 256])
    async def test_a_child_gets_the_id_that_the_code_names(self, scene: Scene, id: str) -> None:
        await scene.worker(naming, doubling, double)

        assert await scene.outcome(naming(id), id="p") == 10
        assert await scene.result(await scene.client.get(id)) == 10

    async def test_a_parent_with_the_longest_id_has_children_with_ids_of_their_own(self, scene: Scene) -> None:
        await scene.worker(parent, doubling, double)

        assert await scene.outcome(parent(1), id="🦆" * 256) == 3
        assert len(await scene.ids()) == 2

    async def test_a_taken_id_fails_the_call_and_leaves_the_instance_that_has_it_alone(self, scene: Scene) -> None:
        await scene.worker(naming_what_is_taken, doubling, double, waiting)
        first = await scene.start(waiting(), id="taken")

        assert await scene.outcome(naming_what_is_taken("taken"), id="p") == "perdure.AlreadyExists"

        await scene.send(first, number, 3)
        assert await scene.result(first) == 3

    async def test_an_id_stays_taken_when_the_instance_has_ended(self, scene: Scene) -> None:
        await scene.worker(naming_what_is_taken, doubling, double)
        await scene.outcome(doubling(1), id="taken")

        assert await scene.outcome(naming_what_is_taken("taken")) == "perdure.AlreadyExists"

    async def test_a_client_cannot_start_what_a_child_has_taken(self, scene: Scene) -> None:
        await scene.worker(parent, doubling, double)
        await scene.outcome(parent(1), id="p")

        with pytest.raises(AlreadyExists, match="'doubling'"):
            await scene.finish(scene.client.start(parent(1), id="p:1"))

    async def test_a_childs_failure_is_raised_where_the_parent_waits(self, scene: Scene) -> None:
        await scene.worker(careful, failing)

        assert await scene.outcome(careful(), id="p") == "failing p:1: LookupError: no 3"
        assert (await scene.summary("p:1")).status == "Failed"

    async def test_an_uncaught_failure_of_a_child_fails_its_parent_and_keeps_its_cause(self, scene: Scene) -> None:
        await scene.worker(careless, failing)

        failure = await scene.failure(careless())

        assert failure.type.endswith("SubOrchestrationError")
        assert failure.cause is not None
        assert (failure.cause.type, failure.cause.message) == ("LookupError", "no 3")
        assert "_children.py" in failure.cause.traceback

    async def test_a_failed_child_is_tried_again_as_an_instance_of_its_own(self, scene: Scene) -> None:
        tries: list[int] = []

        @activity
        async def third_time_lucky() -> int:
            tries.append(1)
            if len(tries) < 3:
                raise ConnectionError
            return 7

        @orchestration
        async def flaky() -> int:
            return await third_time_lucky()

        @orchestration
        async def patient() -> int:
            return await flaky.options(retry=Retry(attempts=5, first_delay=scene.moment / 4))()

        await scene.worker(patient, flaky, third_time_lucky)

        assert await scene.outcome(patient(), id="p") == 7
        assert [each.status for each in await scene.instances(name=["flaky"])].count("Failed") == 2

    async def test_a_child_that_fails_for_good_is_tried_as_often_as_allowed(self, scene: Scene) -> None:
        @orchestration
        async def patient() -> int:
            return await failing.options(retry=Retry(attempts=3, first_delay=0))(1)

        await scene.worker(patient, failing)

        failure = await scene.failure(patient())

        assert failure.cause is not None
        assert failure.cause.message == "no 1"
        assert len(await scene.instances(name=["failing"], status=["Failed"])) == 3

    async def test_a_child_that_nobody_waits_for_any_more_goes_on_and_its_result_is_dropped(self, scene: Scene) -> None:
        await scene.worker(giving_up, waiting)
        run = await scene.start(giving_up(), id="p")
        await scene.has_status("p:1", "Running")
        child = await scene.client.get("p:1")
        await scene.send(run, text, "gave up")
        await scene.turned(run, 2)

        await scene.send(child, number, 9)
        assert await scene.result(child) == 9
        await scene.send(run, text, "and went on")

        assert await scene.result(run) == "gave up, and went on"

    async def test_a_child_of_another_queue_is_run_by_the_workers_of_that_queue(self, scene: Scene) -> None:
        await scene.worker(home, tasks=())
        await scene.worker(away, double, turns=("other",))

        assert await scene.outcome(home(1), id="p") == 2
        assert (await scene.summary("p:1")).queue == "other"

    async def test_r10_a_child_whose_parent_ended_before_its_first_turn_is_canceled(self, scene: Scene) -> None:
        """It would do work that nobody wants any more."""
        await scene.worker(impatient)
        run = await scene.start(impatient(scene.moment / 2), id="p")
        assert await scene.result(run) == "gave up"
        (child,) = await scene.ids(name=["late"])

        await scene.worker(late, turns=("slow",))
        await scene.has_status(child, "Canceled")

        failure = await scene.failure(await scene.client.get(child))
        assert failure.type == "perdure.Canceled"

    async def test_a_child_knows_itself_and_carries_its_parents_tags(self, scene: Scene) -> None:
        await scene.worker(who_is_my_child, who_am_i)

        told = await scene.outcome(who_is_my_child(), id="p", tags={"team": "a"})

        assert told == ["who_am_i", "p:1", "a"]
        assert (await scene.summary("p:1")).tags == {"team": "a"}

    async def test_a_child_may_be_waited_for_by_a_client_too(self, scene: Scene) -> None:
        @orchestration
        async def asking() -> int:
            return await waiting()

        await scene.worker(asking, waiting)
        run = await scene.start(asking(), id="p")
        await scene.has_status("p:1", "Running")
        child = await scene.client.get("p:1")

        await scene.send(child, number, 6)

        assert await scene.result(child) == 6
        assert await scene.result(run) == 6

    async def test_what_a_parent_asked_for_is_in_its_history_with_the_answer(self, scene: Scene) -> None:
        await scene.worker(parent, doubling, double)
        run = await scene.start(parent(1), id="p")
        await scene.result(run)

        told = [event for _, event in (await scene.history(run)).events()]

        (created,) = [each for each in told if isinstance(each, events.SubOrchestrationCreated)]
        (answered,) = [each for each in told if isinstance(each, events.SubOrchestrationCompleted)]
        assert (created.name, created.instance_id, created.seq) == ("doubling", "p:1", answered.seq)
