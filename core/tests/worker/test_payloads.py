"""Large payloads: out of line wherever they do not fit, each under the instance that refers to it (R16)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from _harness import World, decisions, inputs

from perdure import events
from perdure.authoring import Event, activity, orchestration
from perdure.errors import ActivityError, Misuse, OrchestrationError
from perdure.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INLINE = 1_000
OVER_INLINE = "x" * 2_000
PAYLOAD_MAX = 50_000
OVER_ALL = "y" * 60_000
RECORD_MAX = 100_000

letter: Event[str] = Event("letter")


class SmallStore(MemoryStore):
    """A store with limits that tests reach."""

    capabilities = msgspec.structs.replace(
        MemoryStore.capabilities, inline_bytes_max=INLINE, payload_bytes_max=PAYLOAD_MAX, record_bytes_max=RECORD_MAX
    )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A hub with small limits."""
    async with World(store_type=SmallStore) as world:
        yield world


@activity
async def echo(value: str) -> str:
    return value


@activity
async def make(length: int) -> str:
    return "m" * length


@orchestration
async def echoing(value: str) -> str:
    return await echo(value)


@orchestration
async def reading() -> str:
    return await letter()


@orchestration
async def making(length: int) -> int:
    return len(await make(length))


@orchestration
async def child(value: str) -> str:
    return value + await letter()


@orchestration
async def parent(value: str) -> str:
    return await child(value)


def _payloads(world: World) -> dict[str, dict[str, bytes]]:
    stored: dict[str, dict[str, bytes]] = world.home.hub.store.inner.histories.payloads  # type: ignore[attr-defined]
    return stored


async def test_a_large_value_goes_through_input_activity_and_result_unchanged(world: World) -> None:
    await world.worker(echoing, echo)

    run = await world.client.start(echoing(OVER_INLINE), id="o")

    assert await world.result(run) == OVER_INLINE
    assert all(len(record.data) < 2_000 for record in (await world.home.hub.store.read(run.id)).records)  # type: ignore[union-attr, arg-type]


async def test_r16_each_payload_is_kept_under_its_instance_and_says_whose_it_is(world: World) -> None:
    await world.worker(echoing, echo)
    run = await world.client.start(echoing(OVER_INLINE), id="o")
    await world.result(run)

    incarnation = (await run.summary()).incarnation
    names = sorted(_payloads(world)["o"])

    assert set(_payloads(world)) == {"o"}
    assert all(name.startswith(f"{incarnation}/") for name in names)
    assert [name.split("/")[1] for name in names] == ["in", "r", "r", "t"]


async def test_a_large_event_reaches_the_code_unchanged(world: World) -> None:
    await world.worker(reading)
    run = await world.client.start(reading())

    await run.send(letter, OVER_INLINE)

    assert await world.result(run) == OVER_INLINE


async def test_r16_a_childs_large_input_and_a_parents_large_answer_are_copies_of_their_own(world: World) -> None:
    await world.worker(parent, child)
    run = await world.client.start(parent(OVER_INLINE), id="p")
    await world.settle()

    await world.client.send("p:1", letter, "end")

    assert await world.result(run) == OVER_INLINE + "end"
    kept = _payloads(world)
    assert set(kept) == {"p", "p:1"}
    references = [
        (key, value.name)
        for key in kept
        for record in (await world.home.hub.load(key)).records  # type: ignore[arg-type]
        for event in (*record.inputs, *record.decisions)
        for value in (getattr(event, "input", None), getattr(event, "result", None))
        if isinstance(value, events.PayloadRef)
    ]
    assert references
    assert all(name in kept[key] for key, name in references)


async def test_history_shows_large_payloads_in_line(world: World) -> None:
    await world.worker(echoing, echo)
    run = await world.client.start(echoing(OVER_INLINE))
    await world.result(run)

    history = await world.history(run)

    assert all(isinstance(each.input, bytes) for each in decisions(history, events.TaskScheduled))
    assert all(isinstance(each.result, bytes) for each in inputs(history, events.TaskCompleted))


async def test_an_input_that_no_hub_of_this_kind_keeps_is_refused_and_nothing_is_recorded(world: World) -> None:
    with pytest.raises(Misuse, match="60"):
        await world.client.start(echoing(OVER_ALL), id="o")

    assert await world.summaries() == []
    assert world.waiting("turns:default") == []


async def test_an_event_that_no_hub_of_this_kind_keeps_is_refused_at_the_sender(world: World) -> None:
    run = await world.client.start(reading())

    with pytest.raises(Misuse, match="60"):
        await run.send(letter, OVER_ALL)


async def test_a_result_that_no_hub_of_this_kind_keeps_is_the_activitys_failure(world: World) -> None:
    @orchestration
    async def careful() -> str:
        try:
            await make(len(OVER_ALL))
        except ActivityError as error:
            return error.failure.type
        return "?"

    await world.worker(careful, make)

    assert await world.result(await world.client.start(careful())) == "perdure.errors.Misuse"


@pytest.mark.parametrize("what", ["argument of an activity", "input of a child", "result"])
async def test_what_an_orchestration_cannot_record_fails_it_with_the_limit_in_the_message(
    world: World, what: str
) -> None:
    """A failed instance tells more than a stuck one."""

    @orchestration
    async def greedy() -> str:
        if what == "argument of an activity":
            await echo(OVER_ALL)
        elif what == "input of a child":
            await child(OVER_ALL)
        return OVER_ALL

    await world.worker(greedy, child, echo)

    run = await world.client.start(greedy())
    with pytest.raises(OrchestrationError, match="50,000"):
        await world.result(run)
    assert (await run.summary()).status == "Failed"


async def test_a_turn_with_many_small_payloads_puts_them_out_of_line_until_the_record_fits(world: World) -> None:
    """200 arguments of 900 bytes are each small enough and together more than a record may hold."""

    @orchestration
    async def wide() -> int:
        return sum(map(len, await asyncio.gather(*(echo("z" * 900) for _ in range(200)))))

    await world.worker(wide, echo, replay_check="never")

    assert await world.result(await world.client.start(wide())) == 900 * 200


async def test_many_messages_that_together_are_more_than_a_record_holds_take_several_turns(world: World) -> None:
    @orchestration
    async def collecting() -> int:
        return sum([len(await letter()) for _ in range(200)])

    run = await world.client.start(collecting())
    for _ in range(200):
        await run.send(letter, "e" * 900)

    await world.worker(collecting)

    assert await world.result(run) == 200 * 900


async def test_many_messages_for_code_that_changed_are_recorded_in_parts_and_stall_for_the_right_reason(
    world: World,
) -> None:
    """After the first part the code that left its record is gone: the second must not go on from nothing."""

    @orchestration(name="reader")
    async def reader() -> int:
        await make(1)
        return sum([len(await letter()) for _ in range(100)])

    @orchestration(name="reader")
    async def changed() -> int:
        return sum([len(await letter()) for _ in range(100)])

    first = await world.worker(reader, make)
    run = await world.client.start(reader())
    await world.settle()
    await first.stop()
    for _ in range(100):
        await run.send(letter, "e" * 900)

    wrong = await world.worker(changed, make)
    await world.settle()
    failed = decisions(await world.history(run), events.TurnFailed)
    assert len(failed) > 1
    assert all("activity 'make'" in each.reason for each in failed)

    await wrong.stop()
    await world.worker(reader, make)
    assert await world.result(run) == 100 * 900


async def test_a_turn_whose_record_can_never_fit_stalls_its_instance_and_says_why(world: World) -> None:
    """2,000 names alone are more than this store takes in one record: no retry mends it, people must see it."""

    @orchestration
    async def too_wide() -> None:
        await asyncio.gather(*(echo(str(each)) for each in range(4_000)))

    await world.worker(too_wide, echo, replay_check="never")
    run = await world.client.start(too_wide())

    await world.until(lambda: world.is_stalled(run), within_seconds=300)

    assert "record_bytes_max" in (await run.summary()).stalled
    assert world.dead() == []


async def test_a_missing_payload_puts_the_messages_aside_and_leaves_others_alone(world: World) -> None:
    """A damaged history is told to people, never overwritten, and does not take the worker down."""
    world.is_judged = False
    run = await world.client.start(echoing(OVER_INLINE), id="damaged")
    _payloads(world)["damaged"].clear()

    await world.worker(echoing, echo)
    other = await world.client.start(echoing("fine"))

    assert await world.result(other) == "fine"
    assert [letter.envelope.group for letter in world.dead()] == ["damaged"]
    assert "not there" in world.dead()[0].reason
    assert (await run.summary()).status == "Pending"
