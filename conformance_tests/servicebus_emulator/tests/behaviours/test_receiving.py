"""Receivers: what they get, and what they give back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from _place import bodies
from azure.servicebus import ServiceBusReceiveMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place


async def test_b35_a_receiver_that_waits_gets_what_arrives(place: Place) -> None:
    waiting = asyncio.ensure_future(place.receiver.receive_messages(max_wait_time=30))
    await asyncio.sleep(0)

    await place.send("a")

    assert bodies(await waiting) == ["a"]


async def test_b37_nobody_gets_more_than_asked_for(place: Place) -> None:
    other = await place.new_receiver()
    await place.send("a", "b", "c", "d")

    mine = await place.receive(2)
    others = await place.receive(2, other)

    assert bodies(mine) == ["a", "b"]
    assert bodies(others) == ["c", "d"]


async def test_b38_what_is_prefetched_is_locked(open_place: Callable[..., Awaitable[Place]]) -> None:
    place = await open_place()
    await place.open_links(prefetch_count=10)
    other = await place.new_receiver()
    await place.send("a", "b", "c")
    first = await place.receive_one()

    assert await place.received_now(other) == []
    assert bodies([first, *await place.receive(2)]) == ["a", "b", "c"]


async def test_b39_a_closed_receiver_gives_back_what_it_did_not_hand_out(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    """Else it would be locked for the whole lock duration, with one delivery that nobody saw."""
    place = await open_place()
    await place.open_links(prefetch_count=10)
    await place.send("a", "b", "c")
    await place.receive_one()

    await place.receiver.close()

    again = await place.receive(2, await place.new_receiver())
    assert bodies(again) == ["b", "c"]
    assert [message.delivery_count for message in again] == [0, 0]


async def test_b42_in_receive_and_delete_a_message_is_gone_once_received(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    place = await open_place()
    await place.open_links(receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
    await place.send("a", "b")

    message = await place.receive_one()

    assert str(message) == "a"
    assert message.lock_token is None
    assert "a" not in await place.peek()
    assert bodies([await place.receive_one()]) == ["b"]


async def test_b44_a_released_message_is_free_and_not_counted(place: Place) -> None:
    """What comes when no call waits for it, the SDK releases."""
    await place.send("a")
    await place.receiver.receive_messages(max_wait_time=0.3)  # Abandoned by nobody: its lock lasts.
    other = await place.new_receiver()
    await other.receive_messages(max_wait_time=0.3)  # Leaves one credit behind.

    await place.send("b")
    await other.peek_messages(1)  # Looks at the link, finds the message, and releases it.

    released = await place.receive_one()
    assert str(released) == "b"
    assert released.delivery_count == 0
