"""One emulator with a queue `q`, and what a story needs to say of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from perdure_servicebus_emulator import Emulator, ManualClock, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _service_bus_sdk import Sdk

__all__ = ["Place", "bodies"]

PATIENCE_SECONDS = 30.0
"""For what must come."""

MOMENT_SECONDS = 0.3
"""For what must not come."""


def bodies(messages: Iterable[Any]) -> list[str]:
    """Give the texts of messages."""
    return [str(message) for message in messages]


class Place:
    """One emulator with a queue `q`, its clients, and a first sender and receiver once they are opened."""

    def __init__(self, sdk: type[Sdk], settings: dict[str, Any]) -> None:
        self.settings = settings
        self._make_sdk = sdk
        self._stack = AsyncExitStack()
        self.clock = ManualClock()
        self.sender: Any = None
        self.receiver: Any = None

    async def begin(self) -> None:
        """Start the emulator."""
        queues = [Queue("q", **self.settings), Queue("other")]
        self.emulator = await self._stack.enter_async_context(Emulator(queues=queues, clock=self.clock))
        self.sdk = self.new_client()

    def new_client(self, **options: Any) -> Sdk:
        """Give a client of the emulator that is closed with it."""
        client = self._make_sdk(self.emulator.connection_string, **options)
        self._stack.push_async_callback(client.close)
        return client

    async def open_links(self, **receiver: Any) -> None:
        """Open the first sender and the first receiver."""
        self.sender, self.receiver = await asyncio.gather(self.sdk.sender("q"), self.sdk.receiver("q", **receiver))

    async def open_sender(self) -> Any:
        """Open the first sender only."""
        self.sender = await self.sdk.sender("q")
        return self.sender

    async def new_receiver(self, queue: str = "q", **options: Any) -> Any:
        """Open one more receiver."""
        return await self.sdk.receiver(queue, **options)

    async def dead_letters(self, **options: Any) -> Any:
        """Open a receiver of the dead-letter queue."""
        return await self.new_receiver(sub_queue=ServiceBusSubQueue.DEAD_LETTER, **options)

    async def send(self, *texts: str, **properties: Any) -> None:
        """Send a message for each text, with these properties."""
        for text in texts:
            await self.sender.send_messages(ServiceBusMessage(text, **properties))

    async def receive(self, count: int, receiver: Any = None) -> list[Any]:
        """Receive so many messages."""
        found: list[Any] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < count:
                found += await (receiver or self.receiver).receive_messages(count - len(found), max_wait_time=10)
        return found

    async def receive_one(self, receiver: Any = None) -> Any:
        """Receive one message."""
        (message,) = await self.receive(1, receiver)
        return message

    async def received_now(self, receiver: Any = None) -> list[str]:
        """Give the texts of what is received within a moment, and leave it locked."""
        return bodies(await (receiver or self.receiver).receive_messages(10, max_wait_time=MOMENT_SECONDS))

    async def peek(self, receiver: Any = None) -> list[str]:
        """Give the texts of what is in the queue."""
        return bodies(await (receiver or self.receiver).peek_messages(100, sequence_number=1))

    async def let_time_pass(self, seconds: float) -> None:
        """Move the emulator's clock."""
        await self.emulator.advance(seconds)

    async def close(self) -> None:
        """Close the links, then the emulator."""
        await self._stack.aclose()
