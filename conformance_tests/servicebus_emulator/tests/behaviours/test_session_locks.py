"""The lock of a session, and the messages under it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from _place import bodies
from azure.servicebus.exceptions import SessionLockLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place

LOCK_SECONDS = 120


@pytest_asyncio.fixture(loop_scope="session")
async def held(open_place: Callable[..., Awaitable[Place]]) -> Place:
    """A queue with sessions, a sender, and a receiver that holds `s`."""
    place = await open_place(requires_session=True, lock_seconds=LOCK_SECONDS)
    await place.open_links(session_id="s")
    return place


async def test_b93_the_lock_of_a_session_covers_its_messages(held: Place) -> None:
    now = datetime.fromtimestamp(held.clock.now(), UTC)
    assert abs(held.receiver.session.locked_until_utc - now - timedelta(seconds=LOCK_SECONDS)) < timedelta(seconds=1)
    await held.send("a", session_id="s")
    message = await held.receive_one()

    for _ in range(3):
        await held.let_time_pass(100)
        await held.receiver.session.renew_lock()

    end = held.receiver.session.locked_until_utc
    assert abs(end - now - timedelta(seconds=300 + LOCK_SECONDS)) < timedelta(seconds=1)
    await held.receiver.complete_message(message)
    assert await held.peek() == []


async def test_b94_a_session_whose_lock_has_ended_is_free_for_others(held: Place) -> None:
    """The old holder must not settle: another one is at work already."""
    await held.send("a", session_id="s")
    message = await held.receive_one()

    await held.let_time_pass(LOCK_SECONDS + 1)

    other = await held.new_receiver(session_id="s")
    with pytest.raises(SessionLockLostError):
        await held.receiver.complete_message(message)
    again = await held.receive_one(other)
    assert (str(again), again.delivery_count) == ("a", 1)


async def test_b95_an_abandoned_message_is_the_next_one(held: Place) -> None:
    await held.send("a", "b", "c", session_id="s")
    message = await held.receive_one()

    await held.receiver.abandon_message(message)

    assert bodies(await held.receive(3)) == ["a", "b", "c"]


async def test_b98_a_holder_peeks_at_its_session(held: Place) -> None:
    await held.send("a", session_id="s")
    await held.send("b", session_id="another")

    assert await held.peek() == ["a"]
