"""Sessions: who gets one, and what comes with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from _place import bodies
from azure.servicebus import NEXT_AVAILABLE_SESSION
from azure.servicebus.exceptions import OperationTimeoutError, ServiceBusError, SessionCannotBeLockedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place


@pytest_asyncio.fixture(loop_scope="session")
async def sessions(open_place: Callable[..., Awaitable[Place]]) -> Place:
    """A queue with sessions, and a sender."""
    place = await open_place(requires_session=True)
    await place.open_sender()
    return place


async def test_b86_a_message_without_a_session_is_refused(sessions: Place) -> None:
    holder = await sessions.new_receiver(session_id="s")

    with pytest.raises(ServiceBusError, match="amqp:not-allowed"):
        await sessions.send("a")

    await sessions.send("b", session_id="s")
    assert bodies([await sessions.receive_one(holder)]) == ["b"]


@pytest.mark.parametrize(("requires_session", "options"), [(True, {}), (False, {"session_id": "s"})])
async def test_b87_receivers_name_a_session_where_there_are_sessions_only(
    open_place: Callable[..., Awaitable[Place]], *, requires_session: bool, options: dict[str, str]
) -> None:
    place = await open_place(requires_session=requires_session)

    with pytest.raises(ServiceBusError):
        await place.new_receiver(**options)


async def test_b88_a_holder_gets_its_session_in_order(sessions: Place) -> None:
    await sessions.send("a1", session_id="a")
    await sessions.send("b1", session_id="b")
    await sessions.send("a2", session_id="a")

    holder_of_a, holder_of_b = await asyncio.gather(*[sessions.new_receiver(session_id=name) for name in "ab"])
    await sessions.send("a3", session_id="a")

    assert bodies(await sessions.receive(3, holder_of_a)) == ["a1", "a2", "a3"]
    assert bodies(await sessions.receive(1, holder_of_b)) == ["b1"]
    assert holder_of_a.session.session_id == "a"


async def test_b89_a_session_has_one_holder(sessions: Place) -> None:
    await sessions.new_receiver(session_id="s")

    with pytest.raises(SessionCannotBeLockedError):
        await sessions.new_receiver(session_id="s")


async def test_b90_the_next_available_session_has_messages_and_no_holder(sessions: Place) -> None:
    await sessions.send("1", session_id="a")
    await sessions.new_receiver(session_id="a")
    await sessions.send("2", "3", "4", session_id="a")
    await sessions.send("5", session_id="b")

    holder = await sessions.new_receiver(session_id=NEXT_AVAILABLE_SESSION)

    assert holder.session.session_id == "b"
    assert bodies([await sessions.receive_one(holder)]) == ["5"]


async def test_b91_the_next_session_is_waited_for(sessions: Place) -> None:
    in_vain = asyncio.ensure_future(sessions.new_receiver(session_id=NEXT_AVAILABLE_SESSION, max_wait_time=30))
    while not in_vain.done():  # The emulator waits on its own clock, from when it hears of the receiver.
        await sessions.let_time_pass(10)
        await asyncio.sleep(0.05)
    with pytest.raises(OperationTimeoutError):
        await in_vain

    waiting = asyncio.ensure_future(sessions.new_receiver(session_id=NEXT_AVAILABLE_SESSION, max_wait_time=30))
    await asyncio.sleep(0)
    await sessions.send("a", session_id="s")

    holder = await waiting
    assert holder.session.session_id == "s"
    assert bodies([await sessions.receive_one(holder)]) == ["a"]


async def test_b92_closing_frees_a_session_and_counts_nothing(sessions: Place) -> None:
    await sessions.send("a", session_id="s")
    first = await sessions.new_receiver(session_id="s")
    await sessions.receive_one(first)

    await first.close()

    message = await sessions.receive_one(await sessions.new_receiver(session_id="s"))
    assert (str(message), message.delivery_count) == ("a", 0)
