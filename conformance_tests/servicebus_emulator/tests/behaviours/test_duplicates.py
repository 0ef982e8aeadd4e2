"""Messages whose id was there before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio
from azure.servicebus import ServiceBusMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

WINDOW_SECONDS = 60


@pytest_asyncio.fixture(loop_scope="session")
async def detecting(open_place: Callable[..., Awaitable[Place]]) -> Place:
    """A queue that detects duplicates."""
    place = await open_place(duplicate_window_seconds=WINDOW_SECONDS)
    await place.open_links()
    return place


async def test_b82_a_message_with_an_id_that_was_seen_is_dropped(detecting: Place) -> None:
    await detecting.send("first", message_id="id")
    await detecting.send("other", message_id="another id")
    await detecting.send("second", message_id="id", subject="in other words")
    assert await detecting.peek() == ["first", "other"]
    await detecting.receiver.complete_message(await detecting.receive_one())

    await detecting.let_time_pass(WINDOW_SECONDS - 1)
    await detecting.sender.send_messages(
        [ServiceBusMessage("third", message_id="id"), ServiceBusMessage("new", message_id="new id")]
    )

    assert await detecting.peek() == ["other", "new"]


async def test_b83_after_the_window_the_id_may_come_again(detecting: Place) -> None:
    await detecting.send("first", message_id="id")

    await detecting.let_time_pass(WINDOW_SECONDS + 1)
    await detecting.send("second", message_id="id")

    assert await detecting.peek() == ["first", "second"]


async def test_b84_scheduled_messages_take_part(detecting: Place) -> None:
    due = datetime.fromtimestamp(detecting.clock.now(), UTC) + timedelta(seconds=10)
    await detecting.sender.schedule_messages(ServiceBusMessage("scheduled", message_id="1"), due)
    await detecting.send("sent", message_id="2")

    await detecting.send("sent later", message_id="1")
    await detecting.sender.schedule_messages(ServiceBusMessage("scheduled later", message_id="2"), due)

    assert await detecting.peek() == ["scheduled", "sent"]
    await detecting.let_time_pass(11)
    assert sorted(await detecting.peek()) == ["scheduled", "sent"]


async def test_b85_a_queue_that_does_not_ask_for_it_takes_an_id_twice(place: Place) -> None:
    await place.send("first", "second", message_id="id")

    assert await place.peek() == ["first", "second"]
