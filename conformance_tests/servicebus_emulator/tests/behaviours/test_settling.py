"""What ends a lock: complete, abandon, and the count of deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _place import bodies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _place import Place


async def test_b27_completing_removes_a_message(place: Place) -> None:
    await place.send("a", "b")
    message = await place.receive_one()

    await place.receiver.complete_message(message)

    assert await place.peek() == ["b"]


async def test_b28_an_abandoned_message_is_the_next_one(place: Place) -> None:
    await place.send("a", "b", "c")
    message = await place.receive_one()

    await place.receiver.abandon_message(message)

    assert bodies(await place.receive(3)) == ["a", "b", "c"]


async def test_b30_the_delivery_count_grows_with_abandons_and_lost_locks(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    """The first delivery is number 0: whoever counts attempts adds one."""
    place = await open_place(lock_seconds=120)
    await place.open_links()
    await place.send("a")
    counts = []

    for _ in range(2):
        message = await place.receive_one()
        counts.append(message.delivery_count)
        await place.receiver.abandon_message(message)
    counts.append((await place.receive_one()).delivery_count)
    await place.let_time_pass(121)
    counts.append((await place.receive_one()).delivery_count)

    assert counts == [0, 1, 2, 3]
