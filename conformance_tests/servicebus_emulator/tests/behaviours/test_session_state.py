"""What a session remembers, and which sessions there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place


@pytest_asyncio.fixture(loop_scope="session")
async def held(open_place: Callable[..., Awaitable[Place]]) -> Place:
    """A queue with sessions, a sender, and a receiver that holds `s`."""
    place = await open_place(requires_session=True)
    await place.open_links(session_id="s")
    return place


async def test_b96_the_state_of_a_session_outlives_messages_and_holders(held: Place) -> None:
    assert await held.receiver.session.get_state() is None
    await held.receiver.session.set_state(b"\x00state\xff")
    await held.receiver.close()

    next_holder = await held.new_receiver(session_id="s")
    assert bytes(await next_holder.session.get_state()) == b"\x00state\xff"
    await next_holder.session.set_state(None)

    assert await next_holder.session.get_state() is None


async def test_b97_sessions_with_messages_or_a_state_are_listed(held: Place) -> None:
    await held.receiver.session.set_state("done so far")
    for number in range(120):  # More than one page of the SDK.
        await held.send("a", session_id=f"{number:03}")

    listed = await held.sdk.list_sessions("q")

    assert sorted(listed) == [*[f"{number:03}" for number in range(120)], "s"]
