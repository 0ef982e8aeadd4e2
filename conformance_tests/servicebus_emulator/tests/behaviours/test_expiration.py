"""Messages whose time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from azure.servicebus import ServiceBusMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

LOCK_SECONDS = 120
SHORT = timedelta(seconds=10)


async def test_b56_a_message_is_not_received_after_its_time(place: Place) -> None:
    await place.send("short", time_to_live=SHORT)
    await place.send("long", time_to_live=timedelta(seconds=1000))

    await place.let_time_pass(11)

    assert await place.received_now() == ["long"]


async def test_b57_an_expired_message_is_dropped(place: Place) -> None:
    await place.send("a", time_to_live=SHORT)
    letters = await place.dead_letters()

    await place.let_time_pass(11)

    assert await place.received_now() == []
    assert await place.peek() == await place.peek(letters) == []


async def test_b58_or_becomes_a_dead_letter_where_the_queue_says_so(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    place = await open_place(dead_letter_on_expiration=True)
    await place.open_links()
    await place.send("a", time_to_live=SHORT)

    await place.let_time_pass(11)

    assert await place.received_now() == []
    letter = await place.receive_one(await place.dead_letters())
    assert (str(letter), letter.dead_letter_reason) == ("a", "TTLExpiredException")


async def test_b59_a_locked_message_does_not_expire(place: Place) -> None:
    await place.send("a", time_to_live=SHORT)
    message = await place.receive_one()
    await place.let_time_pass(11)
    assert await place.peek() == ["a"]

    await place.receiver.complete_message(message)

    assert await place.peek() == []


async def test_b60_it_expires_when_its_lock_is_over(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(lock_seconds=LOCK_SECONDS, dead_letter_on_expiration=True)
    await place.open_links()
    await place.send("abandoned", "kept", time_to_live=SHORT)
    abandoned, _ = await place.receive(2)
    letters = await place.dead_letters()

    await place.let_time_pass(11)
    await place.receiver.abandon_message(abandoned)
    assert await place.peek(letters) == ["abandoned"]
    await place.let_time_pass(LOCK_SECONDS)

    assert await place.peek(letters) == ["abandoned", "kept"]
    assert await place.peek() == []


async def test_b61_the_default_holds_for_messages_without_a_time(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(ttl_seconds=10)
    await place.open_links()
    await place.send("a")
    assert await place.peek() == ["a"]

    await place.let_time_pass(11)

    assert await place.received_now() == []
    assert await place.peek() == []


async def test_b62_the_default_is_the_most(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(ttl_seconds=10)
    await place.open_links()
    await place.send("more", time_to_live=timedelta(hours=1))
    await place.send("less", time_to_live=timedelta(seconds=5))

    (first, second) = await place.receiver.peek_messages(2)
    await place.let_time_pass(6)
    assert await place.peek() == ["more"]
    await place.let_time_pass(5)

    assert await place.peek() == []
    assert [first.time_to_live, second.time_to_live] == [timedelta(seconds=10), timedelta(seconds=5)]


async def test_b63_the_time_of_a_scheduled_message_begins_when_it_is_enqueued(place: Place) -> None:
    due = datetime.fromtimestamp(place.clock.now(), UTC) + timedelta(seconds=100)
    await place.sender.schedule_messages(ServiceBusMessage("a", time_to_live=SHORT), due)

    await place.let_time_pass(100)
    await place.let_time_pass(9)
    assert await place.peek() == ["a"]
    await place.let_time_pass(2)

    assert await place.peek() == []


async def test_b64_a_deferred_message_stays(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place(dead_letter_on_expiration=True)
    await place.open_links()
    await place.send("a", time_to_live=SHORT)
    message = await place.receive_one()
    await place.receiver.defer_message(message)

    letters = await place.dead_letters()

    await place.let_time_pass(1000)

    assert await place.peek() == ["a"]
    assert await place.peek(letters) == []
