"""Starting instances: recorded before it returns, once per id, refused before anything is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from _faults import LosesAnswers
from _harness import World

from perdure.authoring import Event, activity, orchestration
from perdure.errors import AlreadyExists, Misuse, NotFound, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

go: Event[int] = Event("go")


@activity
async def plus_one(value: int) -> int:
    return value + 1


@orchestration
async def adding(value: int) -> int:
    return await plus_one(value)


@orchestration
async def waiting() -> int:
    return await go()


@orchestration(version="7", queue="vip")
async def labelled() -> None: ...


async def test_an_instance_is_recorded_when_start_returns_and_runs_when_a_worker_comes(world: World) -> None:
    run = await world.client.start(adding(1), id="order-1")

    assert run.id == "order-1"
    assert (await run.summary()).status == "Pending"
    await world.worker(adding, plus_one)
    assert await world.result(run) == 2


async def test_without_an_id_one_is_made_up_each_time_another(world: World) -> None:
    runs = [await world.client.start(adding(1)) for _ in range(50)]

    assert len({run.id for run in runs}) == 50


async def test_what_is_known_of_it_is_in_its_summary(world: World) -> None:
    run = await world.client.start(labelled(), id="x", tags={"team": "a", "customer": "ä"})

    summary = await run.summary()
    assert (summary.name, summary.version, summary.queue) == ("labelled", "7", "vip")
    assert summary.tags == {"team": "a", "customer": "ä"}
    assert summary.created_at == world.clock.now()
    assert summary.parent == ""


async def test_an_id_that_is_taken_is_refused_with_what_has_it(world: World) -> None:
    await world.worker(adding, plus_one)
    await world.result(await world.client.start(adding(1), id="x"))

    with pytest.raises(AlreadyExists, match="'adding', which is Completed") as caught:
        await world.client.start(adding(5), id="x")

    assert (caught.value.instance_id, caught.value.status) == ("x", "Completed")
    assert 'if_exists="return"' in str(caught.value)


async def test_asked_to_return_it_start_gives_the_instance_that_exists(world: World) -> None:
    await world.worker(adding, plus_one)
    first = await world.client.start(adding(1), id="x", if_exists="return")
    again = await world.client.start(adding(5), id="x", if_exists="return")

    assert await world.result(first) == 2
    assert await world.result(again) == 2
    assert len(await world.summaries()) == 1


async def test_an_instance_of_another_orchestration_is_never_returned(world: World) -> None:
    """Its result would have another type than the caller was promised."""
    await world.client.start(waiting(), id="x")

    with pytest.raises(AlreadyExists, match="'waiting'"):
        await world.client.start(adding(1), id="x", if_exists="return")


async def test_a_hundred_clients_that_start_one_id_start_one_instance(world: World) -> None:
    clients = [(await world.process()).client for _ in range(20)]

    answers = await asyncio.gather(
        *(client.start(adding(1), id="x") for client in clients for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(answer, AlreadyExists) for answer in answers) == 99
    assert len(await world.summaries()) == 1


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "outbox"])
@pytest.mark.parametrize("fate", ["before", "after"])
async def test_r1_a_start_whose_answer_is_lost_is_repeated_and_starts_one_instance(atomic: bool, fate: str) -> None:  # noqa: FBT001
    async with World(atomic=atomic) as world:
        process = await world.process(wrap=lambda committer: LosesAnswers(committer, [fate] * 3))
        await world.worker(adding, plus_one)

        run = await world.finish(process.client.start(adding(1), id="x"))

        assert await world.result(run) == 2
        assert len(await world.summaries()) == 1


async def test_a_start_that_stays_uncertain_says_so_and_may_be_made_again(world: World) -> None:
    process = await world.process(wrap=lambda committer: LosesAnswers(committer, ["after"] * 1_000))

    with pytest.raises(Unknown):
        await world.finish(process.client.start(adding(1), id="x"))

    await world.worker(adding, plus_one)
    again = await world.client.start(adding(1), id="x", if_exists="return")
    assert await world.result(again) == 2


HOSTILE = [
    "../x",
    "..",
    "/etc/passwd",
    "a/b",
    "a",
    "A",
    "con",
    "%2e%2e",
    "🚀" * 256,
    "e\u0301",
    "\u00e9",
    " ",
    "a ",
    "'; drop table instances; --",
    "$msgpack",
    "\u202eabc",
]


async def test_any_text_is_an_id_and_each_is_an_instance_of_its_own(world: World) -> None:
    await world.worker(adding, plus_one)
    runs = {id: await world.client.start(adding(number), id=id) for number, id in enumerate(HOSTILE)}

    for number, id in enumerate(HOSTILE):
        assert await world.result(runs[id]) == number + 1
        assert (await world.client.history(id)).key == id
    assert sorted(HOSTILE) == [summary.key for summary in await world.summaries()]


@pytest.mark.parametrize("id", ["", "x" * 257, "nul\0", "line\nbreak", "\ud800", 7, b"x"], ids=repr)
async def test_what_is_no_id_is_refused_and_nothing_is_recorded(world: World, id: Any) -> None:
    with pytest.raises(Misuse, match="nstance id"):
        await world.client.start(adding(1), id=id)

    assert await world.summaries() == []
    for ask in (world.client.get, world.client.history):
        with pytest.raises(Misuse, match="nstance id"):
            await ask(id)


REFUSED: list[tuple[Callable[[], Any], dict[str, Any], str]] = [
    (lambda: adding("one"), {}, "value"),  # type: ignore[arg-type]
    (lambda: adding(1), {"if_exists": "replace"}, "if_exists"),
    (lambda: adding(1), {"tags": {str(each): "" for each in range(65)}}, "64"),
    (lambda: adding(1), {"tags": {"n": 7}}, "tag"),
    (lambda: adding(1), {"tags": {"": "x"}}, "tag"),
    (lambda: adding(1), {"start_at": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the point
    (lambda: plus_one(1), {}, "orchestration"),
    (lambda: adding, {}, "orchestration"),
]


@pytest.mark.parametrize(
    ("make", "options", "told"), REFUSED, ids=[told + str(number) for number, (_, _, told) in enumerate(REFUSED)]
)
async def test_a_wrong_call_is_refused_by_name_records_nothing_and_warns_of_nothing(
    world: World, make: Callable[[], Any], options: dict[str, Any], told: str
) -> None:
    """A call that was refused was used: "never awaited" on top would send the reader to the wrong place."""
    with pytest.raises(Misuse, match=told):
        await world.client.start(make(), **options)

    assert await world.summaries() == []
    assert world.waiting("turns:default") == []


async def test_a_plain_coroutine_is_refused_and_closed(world: World) -> None:
    async def plain() -> None: ...

    with pytest.raises(Misuse, match="plain"):
        await world.client.start(plain())  # type: ignore[arg-type]


async def test_a_start_in_the_past_is_a_start_now(world: World) -> None:
    await world.worker(adding, plus_one)

    run = await world.client.start(adding(1), start_at=datetime(2001, 1, 1, tzinfo=UTC))
    await world.settle()

    assert await run.result(timeout_seconds=0) == 2


async def test_an_instance_that_nobody_knows_is_not_found(world: World) -> None:
    for ask in (world.client.get, world.client.history):
        with pytest.raises(NotFound, match="nobody") as caught:
            await ask("nobody")
        assert caught.value.instance_id == "nobody"


async def test_a_pending_instance_whose_hint_got_lost_is_woken_by_starting_it_again(world: World) -> None:
    run = await world.client.start(adding(1), id="x")
    world.messages._queues["turns:default"].messages.clear()
    await world.worker(adding, plus_one)
    await world.pass_seconds(60)
    assert (await run.summary()).status == "Pending"

    again = await world.client.start(adding(1), id="x", if_exists="return")

    assert await world.result(again) == 2
