"""Both forms of the SDK behind one face: the asynchronous one as it is, the synchronous one with its calls in threads.

Links cost about half a second to open and to close, spent in sleeps of the SDK. So links are opened side by side, and
closed behind the back of the tests that follow.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import azure.servicebus as sync_sdk
import azure.servicebus.aio as async_sdk

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AsyncSdk", "Sdk", "SyncSdk", "Threaded"]


THREADS = ThreadPoolExecutor(64, "sync-sdk")
"""Enough for everything that waits at once: links that are being closed, and receivers of the test that runs."""


async def in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of the synchronous SDK."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, partial(function, *arguments, **options))


class Threaded:
    """A synchronous object whose methods are coroutines here: each call runs in a thread."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        if not inspect.ismethod(value):
            return Threaded(value) if isinstance(value, sync_sdk.ServiceBusSession) else value

        async def call(*arguments: Any, **options: Any) -> Any:
            return await in_thread(value, *arguments, **options)

        return call


class Sdk(ABC):
    """A client of one namespace, and the senders and receivers that it opened.

    Senders and receivers have the methods of the asynchronous SDK.
    """

    def __init__(self, connection_string: str, **options: Any) -> None:
        self.client: Any = self.make_client(connection_string, {"retry_total": 0, **options})
        self._opened: list[Any] = []

    async def sender(self, queue: str, **options: Any) -> Any:
        """Open a sender."""
        return await self._open(self.client.get_queue_sender(queue, **options))

    async def receiver(self, queue: str, **options: Any) -> Any:
        """Open a receiver."""
        return await self._open(self.client.get_queue_receiver(queue, **options))

    async def close(self) -> None:
        """Close what was opened, all at once."""
        await asyncio.gather(*[link.close() for link in self._opened])
        await self.close_client()

    async def _open(self, link: Any) -> Any:
        opened = self.face(link)
        await self.enter(link)
        self._opened.append(opened)
        return opened

    @abstractmethod
    def make_client(self, connection_string: str, options: dict[str, Any]) -> Any:
        """Give a client of the namespace."""

    @abstractmethod
    def face(self, link: Any) -> Any:
        """Give a link with the methods of the asynchronous SDK."""

    @abstractmethod
    async def enter(self, link: Any) -> None:
        """Open a link."""

    @abstractmethod
    async def close_client(self) -> None:
        """Close the client."""

    @abstractmethod
    async def list_sessions(self, queue: str) -> list[str]:
        """List the sessions of a queue."""


class AsyncSdk(Sdk):
    """`azure.servicebus.aio`."""

    def make_client(self, connection_string: str, options: dict[str, Any]) -> Any:
        return async_sdk.ServiceBusClient.from_connection_string(connection_string, **options)

    def face(self, link: Any) -> Any:
        return link

    async def enter(self, link: Any) -> None:
        await link.__aenter__()

    async def close_client(self) -> None:
        await self.client.close()

    async def list_sessions(self, queue: str) -> list[str]:
        return [session async for session in self.client.list_queue_sessions(queue)]


class SyncSdk(Sdk):
    """`azure.servicebus`."""

    def make_client(self, connection_string: str, options: dict[str, Any]) -> Any:
        return sync_sdk.ServiceBusClient.from_connection_string(connection_string, **options)

    def face(self, link: Any) -> Any:
        return Threaded(link)

    async def enter(self, link: Any) -> None:
        await in_thread(link.__enter__)

    async def close_client(self) -> None:
        await in_thread(self.client.close)

    async def list_sessions(self, queue: str) -> list[str]:
        listed: list[str] = await in_thread(lambda: list(self.client.list_queue_sessions(queue)))
        return listed
