"""The line between one process and the hub: every call of the interfaces goes along it, and may meet something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from perdure.spi import OutboxCommitter
from perdure_conformance.harness import Backend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from perdure.spi import Clock

__all__ = ["CALLS", "STREAMS", "Line", "along"]

T = TypeVar("T")

STREAMS = frozenset({"scan", "payloads"})
CALLS = frozenset(
    {
        *("read", "append", "purge", "changed", "ended", "put_payload", "get_payload", "delete_payloads"),
        *("send", "receive", "complete", "abandon", "renew", "dead_letter"),
        "commit",
    }
)
"""Of stores, queues and committers; a committer that is made of a store and a queue has theirs beneath its own."""


class Line:
    """Carries calls. This one does nothing else."""

    async def carry(self, operation: str, subject: object, call: Callable[..., Awaitable[T]]) -> T:
        """Make a call, or not, and answer it.

        Args:
            operation: Its name, of `CALLS` or `STREAMS`.
            subject: Its first argument.
            call: Makes it, with another first argument if it is given one; may be called more than once.
        """
        del operation, subject
        return await call()


def along(backend: Backend, clock: Clock, line: Line) -> Backend:
    """Put a line between a process and what it has opened.

    Args:
        backend: Open.
        clock: Of the process.
        line: What each call goes along.
    """
    store, queue = cast("Any", _Far(backend.store, line)), cast("Any", _Far(backend.queue, line))
    committer = backend.committer
    if isinstance(committer, OutboxCommitter) and type(committer).__init__ is OutboxCommitter.__init__:
        # It lives in the process, and makes calls of its own: they go along the line one by one.
        committer = type(committer)(store, queue, clock)
    return Backend(store, queue, cast("Any", _Far(committer, line)))


class _Far:
    """A store, queue or committer at the end of a line."""

    def __init__(self, inner: object, line: Line) -> None:
        self._inner = inner
        self._line = line

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in CALLS:
            return self._call(name, found)
        return self._stream(name, found) if name in STREAMS else found

    def _call(self, name: str, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def carried(first: Any, *others: Any, **options: Any) -> Any:
            def call(subject: Any = first) -> Awaitable[Any]:
                return method(subject, *others, **options)

            return await self._line.carry(name, first, call)

        return carried

    def _stream(self, name: str, method: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def carried(first: Any) -> AsyncIterator[Any]:
            async def call(subject: Any = first) -> list[Any]:
                return [found async for found in method(subject)]

            for found in await self._line.carry(name, first, call):
                yield found

        return carried
