"""Many receivers on one queue."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from _place import Place
from _service_bus_sdk import AsyncSdk
from azure.servicebus import ServiceBusMessage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RECEIVERS = 16
BATCH = 100


async def send_numbers(place: Place, count: int) -> None:
    """Send messages 0 to `count` - 1."""
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        await place.sender.send_messages([ServiceBusMessage(str(number)) for number in numbers])


async def work(receiver: Any, done: Counter[str], count: int) -> int:
    """Receive and complete until all are done; give how many this receiver had."""
    mine = 0
    while done.total() < count:
        messages = await receiver.receive_messages(50, max_wait_time=1)
        await asyncio.gather(*[receiver.complete_message(message) for message in messages])
        done.update(str(message) for message in messages)
        mine += len(messages)
    return mine


async def share(place: Place, count: int) -> None:
    """Let 16 receivers have so many messages, and see that each has its share and nothing comes twice or is missing."""
    await place.open_sender()
    receivers = await asyncio.gather(*[place.new_receiver() for _ in range(RECEIVERS)])
    done: Counter[str] = Counter()

    async with asyncio.timeout(100):
        shares, _ = await asyncio.gather(
            asyncio.gather(*[work(receiver, done, count) for receiver in receivers]), send_numbers(place, count)
        )

    assert done == Counter(str(number) for number in range(count))
    assert sum(share > 0 for share in shares) > 1
    assert await place.peek(receivers[0]) == []


async def test_b43_each_message_goes_to_one_of_the_competing_receivers(
    open_place: Callable[..., Awaitable[Place]],
) -> None:
    """Locks hold for all the time of the test."""
    await share(await open_place(lock_seconds=300), 2_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_sixteen_receivers_of_2_000_messages_each() -> None:
    """The asynchronous SDK only: threads of the synchronous one need minutes for that."""
    async with AsyncExitStack() as stack:
        place = Place(AsyncSdk, {"lock_seconds": 300})
        stack.push_async_callback(place.close)
        await place.begin()
        await share(place, RECEIVERS * 2_000)
