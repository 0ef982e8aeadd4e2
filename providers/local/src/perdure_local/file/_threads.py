"""Calls that wait for the disk or for a lock, off the event loop, on threads of their own.

Not on the loop's usual threads: an application's blocking functions may fill those, and leases would end meanwhile.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from perdure.spi import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]

Answer = TypeVar("Answer")

_THREADS = 4


class Threads:
    """A few threads of one client; none is started before the first call."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._executor: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Get ready; more than once does nothing more."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="perdure-file")

    async def run(self, call: Callable[[], Answer], *, undo: Callable[[Answer], object] | None = None) -> Answer:
        """Run a call on a thread.

        Args:
            call: What to run. It runs to its end also if the caller is cancelled meanwhile.
            undo: Run with the answer, on a thread, if nobody is there to take it any more.

        Raises:
            Unavailable: The client is not open.
            CancelledError: The caller was cancelled.
        """
        executor = self._executor
        if executor is None:
            raise Unavailable(f"{self._what} is not open: call open() first, and nothing after aclose().")
        started = executor.submit(call)
        try:
            return await asyncio.wrap_future(started)
        except asyncio.CancelledError:
            if undo is not None and not started.cancel():
                started.add_done_callback(lambda done: None if done.exception() else undo(done.result()))
            raise

    def close(self) -> None:
        """Wait for the calls that are under way; twice is allowed."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
