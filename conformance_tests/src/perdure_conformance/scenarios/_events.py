"""External events: buffered, in order, once each, and never given to somebody who no longer waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from perdure import Closed, Event, Misuse, NotFound, activity, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, doubling, number, sleeping, summing, text, waiting

if TYPE_CHECKING:
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["EventScenarios"]


@dataclass
class Payment:
    """What was paid."""

    amount: int
    by: str = ""


payment: Event[Payment] = Event("payment")
anything: Event[Any] = Event("anything")


@orchestration
async def two_waiters() -> list[int]:
    return list(await asyncio.gather(number(), number()))


@orchestration
async def two_kinds() -> list[object]:
    return list(await asyncio.gather(number(), text()))


@orchestration
async def impatient(seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            return f"in time {await number()}"
    except TimeoutError:
        return f"late {await number()}"


@orchestration
async def first_waiter_leaves() -> list[int]:
    """Of two waiters, give up the first; the event is for the second."""
    first, second = asyncio.create_task(number()), asyncio.create_task(number())
    await double(1)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    await text()
    return [await second]


@orchestration
async def paying() -> int:
    paid = await payment()
    assert isinstance(paid, Payment)
    return paid.amount


@orchestration
async def reading_anything() -> object:
    return await anything()


@orchestration
async def careful_reader() -> list[object]:
    """Go on after a payload that does not fit."""
    seen: list[object] = []
    for _ in range(2):
        try:
            seen.append(await number())
        except Misuse:
            seen.append("did not fit")
    return seen


@orchestration
async def stopping_at(last: int) -> int:
    """Take events until one of a value comes."""
    count = 0
    while await number() != last:
        count += 1
    return count


class EventScenarios(Scenarios):
    async def test_events_sent_before_the_start_of_the_wait_are_read_in_order(self, scene: Scene) -> None:
        run = await scene.start(summing(5))
        await scene.send(run, number, 1, 2, 3, 4, 5)

        await scene.worker(summing)

        assert await scene.result(run) == [1, 2, 3, 4, 5]

    async def test_an_event_wakes_the_instance_that_waits_for_it(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing(2))
        await scene.turned(run)

        await scene.send(run, number, 8)
        await scene.turned(run, 2)
        await scene.send(run, number, 9)

        assert await scene.result(run) == [8, 9]

    async def test_events_that_come_faster_than_they_are_read_are_all_read(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing(60))

        await scene.send(run, number, *range(60))

        read = await scene.result(run)
        assert sorted(read) == list(range(60))

    async def test_two_waiters_get_one_event_each_first_come_first_served(self, scene: Scene) -> None:
        await scene.worker(two_waiters)
        run = await scene.start(two_waiters())
        await scene.turned(run)

        await scene.send(run, number, 1)
        await scene.turned(run, 2)
        await scene.send(run, number, 2)

        assert await scene.result(run) == [1, 2]

    async def test_events_of_two_names_do_not_get_in_each_others_way(self, scene: Scene) -> None:
        await scene.worker(two_kinds)
        run = await scene.start(two_kinds())

        await scene.send(run, text, "a")
        await scene.send(run, number, 1)

        assert await scene.result(run) == [1, "a"]

    async def test_an_event_of_another_name_leaves_the_waiter_alone(self, scene: Scene) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting())
        await scene.turned(run)

        await scene.send(run, text, "hello")
        await scene.turned(run, 2)
        assert (await run.summary()).status == "Running"

        await scene.send(run, number, 4)
        assert await scene.result(run) == 4

    async def test_names_of_events_are_compared_exactly(self, scene: Scene) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting())
        for name in ("Number", "number ", "NUMBER"):
            await scene.finish(scene.client.send(run.id, name, 1))

        await scene.pass_moments(1)
        assert (await run.summary()).status == "Running"

        await scene.send(run, number, 4)
        assert await scene.result(run) == 4

    async def test_an_event_can_be_sent_by_id_and_by_name(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing(2), id="x")
        await scene.turned(run)

        await scene.finish(scene.client.send("x", "number", 8))
        await scene.turned(run, 2)
        await scene.finish(scene.client.send("x", number, 9))

        assert await scene.result(run) == [8, 9]

    async def test_an_event_with_an_id_counts_once_however_often_it_is_sent(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing(2))
        await scene.turned(run)

        for _ in range(3):
            await scene.finish(run.send(number, 1, event_id="first"))
        await scene.turned(run, 2)
        await scene.finish(run.send(number, 1, event_id="first"))
        await scene.finish(run.send(number, 2, event_id="second"))

        assert await scene.result(run) == [1, 2]

    async def test_two_events_without_ids_are_two_though_they_are_equal(self, scene: Scene) -> None:
        await scene.worker(summing)
        run = await scene.start(summing(2))

        for _ in range(2):
            await scene.finish(run.send(number, 1))

        assert await scene.result(run) == [1, 1]

    async def test_an_event_that_wins_against_a_timeout_is_read(self, scene: Scene) -> None:
        await scene.worker(impatient)
        run = await scene.start(impatient(60))

        await scene.send(run, number, 6)

        assert await scene.result(run) == "in time 6"

    async def test_an_event_that_loses_against_a_timeout_is_kept_for_the_next_wait(self, scene: Scene) -> None:
        await scene.worker(impatient)
        run = await scene.start(impatient(scene.moment / 2))
        await scene.turned(run, 2)

        await scene.send(run, number, 6)

        assert await scene.result(run) == "late 6"

    async def test_an_event_is_never_given_to_a_waiter_that_has_left(self, scene: Scene) -> None:
        await scene.worker(first_waiter_leaves, double)
        run = await scene.start(first_waiter_leaves())
        await scene.turned(run, 2)

        await scene.send(run, number, 7)
        await scene.send(run, text, "go on")

        assert await scene.result(run) == [7]

    async def test_payloads_have_the_type_of_the_event(self, scene: Scene) -> None:
        await scene.worker(paying)
        run = await scene.start(paying())

        await scene.send(run, payment, Payment(40, "card"))

        assert await scene.result(run) == 40

    @pytest.mark.parametrize("value", [None, 0, "", False, [], {"a": [None]}], ids=repr)
    async def test_a_payload_arrives_as_it_was_sent(self, scene: Scene, value: object) -> None:
        await scene.worker(reading_anything)
        run = await scene.start(reading_anything())

        await scene.send(run, anything, value)

        assert await scene.result(run) == value

    async def test_a_payload_that_does_not_fit_its_type_is_refused_at_the_sender(self, scene: Scene) -> None:
        await scene.worker(waiting)
        run = await scene.start(waiting())

        with pytest.raises(Misuse, match="number"):
            await run.send(number, "four")  # type: ignore[misc]

        await scene.send(run, number, 4)
        assert await scene.result(run) == 4

    async def test_a_payload_that_does_not_fit_the_receiver_is_an_error_there_and_used_up(self, scene: Scene) -> None:
        await scene.worker(careful_reader)
        run = await scene.start(careful_reader())
        await scene.turned(run)

        await scene.finish(run.send("number", "four"))
        await scene.turned(run, 2)
        await scene.send(run, number, 5)

        assert await scene.result(run) == ["did not fit", 5]

    async def test_an_event_to_a_closed_instance_is_refused_with_its_status(self, scene: Scene) -> None:
        await scene.worker(sleeping)
        run = await scene.start(sleeping(0))
        await scene.result(run)

        with pytest.raises(Closed, match="Completed") as caught:
            await run.send(number, 1)
        assert caught.value.status == "Completed"

    async def test_an_event_to_nobody_is_refused(self, scene: Scene) -> None:
        with pytest.raises(NotFound, match="nobody"):
            await scene.client.send("nobody", number, 1)

    async def test_events_that_meet_an_instance_which_has_ended_are_dropped(self, scene: Scene) -> None:
        run = await scene.start(waiting())
        await scene.send(run, number, 1)
        await scene.send(run, number, 2, 3)

        await scene.worker(waiting)

        assert await scene.result(run) == 1
        assert (await run.summary()).status == "Completed"

    async def test_an_instance_takes_events_until_the_one_that_it_waits_for(self, scene: Scene) -> None:
        await scene.worker(stopping_at)
        run = await scene.start(stopping_at(0))
        await scene.turned(run)
        for value in (3, 1, 2):
            await scene.send(run, number, value)
        await scene.turned(run, 2)

        await scene.send(run, number, 0)

        assert await scene.result(run) == 3

    async def test_instances_talk_to_each_other_by_activities(self, scene: Scene) -> None:
        @activity
        async def tell(id: str, value: int) -> None:
            await scene.client.send(id, number, value)

        @orchestration
        async def talking(other: str, begins: bool) -> list[int]:  # noqa: FBT001 - a field of its input
            heard: list[int] = []
            if begins:
                await tell(other, 1)
            while not heard or heard[-1] < 6:
                heard.append(await number())
                if heard[-1] < 7:
                    await tell(other, heard[-1] + 1)
            return heard

        await scene.worker(talking, tell, doubling, double)
        listener = await scene.start(talking("alice", begins=False), id="bob")
        speaker = await scene.start(talking("bob", begins=True), id="alice")

        assert await scene.result(listener) == [1, 3, 5, 7]
        assert await scene.result(speaker) == [2, 4, 6]
