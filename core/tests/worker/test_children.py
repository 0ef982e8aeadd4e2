"""Sub-orchestrations: their ids, their outcomes, and what a parent learns."""

from __future__ import annotations

import asyncio

import pytest
from _harness import World, decisions

from perdure import events
from perdure.authoring import Event, Retry, activity, orchestration
from perdure.errors import AlreadyExists, Misuse, OrchestrationError, SubOrchestrationError

go: Event[int] = Event("go")


@activity
async def double(value: int) -> int:
    return value * 2


@orchestration
async def child(value: int) -> int:
    return await double(value)


@orchestration
async def failing(value: int) -> int:
    raise LookupError(f"no {value}")


@orchestration
async def parent(value: int) -> int:
    return await child(value) + 1


@orchestration
async def grandparent(value: int) -> int:
    return await parent(value) + 100


@orchestration
async def waiting() -> int:
    return await go()


async def test_a_child_without_an_id_gets_one_of_its_parents(world: World) -> None:
    await world.worker(parent, child, double)

    run = await world.client.start(parent(4), id="p")

    assert await world.result(run) == 9
    assert [each.key for each in await world.summaries()] == ["p", "p:1"]
    assert (await world.summary("p:1")).parent == "p"


async def test_children_of_children_work_as_well(world: World) -> None:
    await world.worker(grandparent, parent, child, double)

    assert await world.result(await world.client.start(grandparent(1), id="g")) == 103
    assert [each.key for each in await world.summaries()] == ["g", "g:1", "g:1:1"]


async def test_a_hundred_children_run_side_by_side(world: World) -> None:
    @orchestration
    async def many() -> int:
        return sum(await asyncio.gather(*(child(value) for value in range(100))))

    await world.worker(many, child, double, replay_check="never")

    assert await world.result(await world.client.start(many())) == sum(range(100)) * 2


async def test_a_child_gets_the_id_that_the_code_names(world: World) -> None:
    @orchestration
    async def naming() -> int:
        return await child.options(id="the child")(5)

    await world.worker(naming, child, double)

    assert await world.result(await world.client.start(naming(), id="p")) == 10
    assert await world.result(await world.client.get("the child")) == 10


async def test_a_taken_id_fails_the_call_and_leaves_the_instance_that_has_it_alone(world: World) -> None:
    @orchestration
    async def naming() -> str:
        try:
            await child.options(id="taken")(5)
        except SubOrchestrationError as error:
            return error.failure.type
        return "?"

    await world.worker(naming, child, double, waiting)
    first = await world.client.start(waiting(), id="taken")

    assert await world.result(await world.client.start(naming(), id="p")) == "perdure.AlreadyExists"
    await first.send(go, 3)
    assert await world.result(first) == 3


def test_an_instance_id_that_is_none_is_refused_where_the_code_names_it() -> None:
    with pytest.raises(Misuse, match="instance id"):
        child.options(id="nul\0")


async def test_a_childs_failure_is_raised_where_the_parent_waits(world: World) -> None:
    @orchestration
    async def careful() -> str:
        try:
            await failing(3)
        except SubOrchestrationError as error:
            return f"{error.instance_id}: {error.failure}"
        return "?"

    await world.worker(careful, failing)

    assert await world.result(await world.client.start(careful(), id="p")) == "p:1: LookupError: no 3"


async def test_an_uncaught_failure_of_a_child_keeps_its_cause_up_to_the_client(world: World) -> None:
    @orchestration
    async def careless() -> None:
        await failing(3)

    @orchestration
    async def top() -> None:
        await careless()

    await world.worker(top, careless, failing)

    with pytest.raises(OrchestrationError) as caught:
        await world.result(await world.client.start(top()))

    types = []
    failure = caught.value.failure
    while failure is not None:
        types.append(failure.type.rpartition(".")[2])
        failure = failure.cause  # type: ignore[assignment]
    assert types[-1] == "LookupError"


async def test_a_failed_child_is_tried_again_as_an_instance_of_its_own(world: World) -> None:
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
        return await flaky.options(retry=Retry(attempts=5, first_delay=60))()

    await world.worker(patient, flaky, third_time_lucky)

    assert await world.result(await world.client.start(patient(), id="p")) == 7
    assert len([each for each in await world.summaries() if each.name == "flaky"]) == 3


async def test_a_child_of_another_queue_is_run_by_the_workers_of_that_queue(world: World) -> None:
    @orchestration(queue="other")
    async def away(value: int) -> int:
        return value + 1

    @orchestration
    async def home(value: int) -> int:
        return await away(value)

    await world.worker(home)
    await world.worker(away, turns=("other",))

    assert await world.result(await world.client.start(home(1))) == 2


async def test_r10_a_child_whose_parent_has_ended_before_its_first_turn_is_canceled_and_runs_nothing(
    world: World,
) -> None:
    ran: list[int] = []

    @orchestration(queue="slow")
    async def late() -> None:
        ran.append(1)

    @orchestration
    async def impatient() -> str:
        try:
            async with asyncio.timeout(60):
                await late()
        except TimeoutError:
            return "gave up"
        return "?"

    await world.worker(impatient)
    run = await world.client.start(impatient(), id="p")
    assert await world.result(run) == "gave up"

    await world.worker(late, turns=("slow",))
    await world.settle()

    assert (await world.summary("p:2")).status == "Canceled"
    assert ran == []
    with pytest.raises(OrchestrationError, match="canceled"):
        await world.result(await world.client.get("p:2"))


async def test_a_client_cannot_start_what_a_child_has_taken(world: World) -> None:
    await world.worker(parent, child, double)
    await world.result(await world.client.start(parent(1), id="p"))

    with pytest.raises(AlreadyExists, match="'child'"):
        await world.client.start(parent(1), id="p:1")


async def test_a_child_carries_its_parents_tags(world: World) -> None:
    await world.worker(parent, child, double)

    await world.result(await world.client.start(parent(1), id="p", tags={"team": "a"}))

    assert (await world.summary("p:1")).tags == {"team": "a"}


async def test_a_parent_with_the_longest_id_has_children_with_ids_of_their_own(world: World) -> None:
    await world.worker(parent, child, double)
    longest = "🚀" * 256

    assert await world.result(await world.client.start(parent(1), id=longest)) == 3

    created = decisions(await world.history(longest), events.SubOrchestrationCreated)
    assert len(created[0].instance_id) <= 256
    assert created[0].instance_id != longest
