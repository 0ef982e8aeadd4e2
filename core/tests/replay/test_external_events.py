"""External events: exact names, first come first served, never lost, never given to somebody who left."""

from __future__ import annotations

import asyncio

from replay_support import Driven, activity, decode, encode, event, loop, result_of

from perdure.commands import CancelTimer, Complete, SetTimer
from perdure.errors import Misuse
from perdure.events import EventRaised, TaskCompleted, TimerFired


def raised(name: str, value: object) -> EventRaised:
    return EventRaised(name, encode(value), f"m-{value}")


def test_an_event_that_came_before_the_wait_is_kept() -> None:
    async def slow_to_listen() -> list[str]:
        await activity("first")
        return [await event("payment"), await event("payment")]

    driven = Driven(slow_to_listen)
    driven.start(raised("payment", 1), raised("payment", 2))

    assert result_of(driven.turn(TaskCompleted(1, encode(None)))) == [1, 2]


def test_several_waiters_are_served_first_come_first_served() -> None:
    async def listeners() -> list[object]:
        return await asyncio.gather(event("e"), event("e"), event("e"))

    driven = Driven(listeners)
    driven.start()

    assert driven.turn(raised("e", 1), raised("e", 2)) == ()
    assert result_of(driven.turn(raised("e", 3))) == [1, 2, 3]


def test_names_match_exactly() -> None:
    async def listener() -> str:
        return await event("Payment")

    driven = Driven(listener)
    driven.start()

    assert driven.turn(raised("payment", "lower case")) == ()
    assert result_of(driven.turn(raised("Payment", "exact"))) == "exact"


def test_a_cancelled_waiter_leaves_the_line_at_once() -> None:
    async def listeners() -> object:
        first = asyncio.create_task(event("e"))
        second = asyncio.create_task(event("e"))
        await asyncio.sleep(0)
        first.cancel()
        assert loop().lines.names() == ["e"]
        return await second

    driven = Driven(listeners)
    driven.start()
    assert driven.execution.waiting_for() == ("event e",)

    assert result_of(driven.turn(raised("e", "for the second"))) == "for the second"


def test_a_timeout_and_an_event_in_one_turn_lose_nothing() -> None:
    """The timer is fed first and ends the wait; the event is then unread and is there for the next wait."""

    async def patient() -> list[object]:
        try:
            async with asyncio.timeout(10):
                await event("payment")
        except TimeoutError:
            return ["late", await event("payment")]
        return ["in time"]

    driven = Driven(patient)
    assert driven.start() == (SetTimer(1, 1010.0),)

    assert result_of(driven.turn(TimerFired(1), raised("payment", 12), after=10)) == ["late", 12]


def test_an_event_in_time_cancels_the_timeout_and_its_late_firing_does_no_harm() -> None:
    async def patient() -> list[object]:
        async with asyncio.timeout(10):
            first = await event("payment")
        return [first, await event("payment")]

    driven = Driven(patient)
    driven.start()

    assert driven.turn(raised("payment", 1), TimerFired(1)) == (CancelTimer(1),)
    assert result_of(driven.turn(TimerFired(1), raised("payment", 2))) == [1, 2]


def test_wait_for_loses_no_event_either() -> None:
    async def patient() -> list[object]:
        try:
            await asyncio.wait_for(event("payment"), 10)
        except TimeoutError:
            return ["late", await event("payment")]
        return ["in time"]

    driven = Driven(patient)
    driven.start()

    assert result_of(driven.turn(TimerFired(1), raised("payment", 12), after=10)) == ["late", 12]


def test_an_event_that_does_not_fit_raises_where_it_is_awaited_and_is_used_up() -> None:
    def refuse(payload: bytes) -> object:
        raise Misuse(f"{payload!r} is no payment")

    async def strict() -> list[object]:
        try:
            await event("payment", refuse)
        except Misuse as error:
            return [str(error), await event("payment")]
        return []

    driven = Driven(strict)
    driven.start()

    answered = result_of(driven.turn(EventRaised("payment", b"?", "m"), raised("payment", 12)))
    assert answered == ["b'?' is no payment", 12]


def test_waiting_is_not_recorded() -> None:
    async def listener() -> str:
        return await event("e")

    assert Driven(listener).start() == ()


def test_cancelling_a_wait_that_was_answered_changes_nothing() -> None:
    async def listener() -> list[object]:
        waiting = loop().wait_for_event("e", decode)
        first = await waiting
        return [first, waiting.cancel(), await event("e")]

    driven = Driven(listener)
    driven.start()

    assert result_of(driven.turn(raised("e", 1), raised("e", 2))) == [1, False, 2]


def test_a_wait_that_begins_when_the_outcome_is_decided_never_ends() -> None:
    async def cleaning_up() -> str:
        async def background() -> None:
            try:
                await activity("long")
            finally:
                await event("e")

        asyncio.create_task(background())  # noqa: RUF006 - left behind on purpose
        await asyncio.sleep(0)
        return "done"

    driven = Driven(cleaning_up)
    assert driven.start(raised("e", 1))[-1] == Complete(encode("done"))
    assert driven.execution.close() == 0
