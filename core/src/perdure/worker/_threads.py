"""Threads for activities that are plain functions.

Daemon threads: a function that hangs can be neither cancelled nor joined, and must not keep the process from ending.
`ThreadPoolExecutor` joins its threads at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Threads"]


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    function: Callable[[], object]


class Threads:
    """At most so many threads; each is kept for the next function.

    Attributes:
        busy: How many run a function now, those that nobody waits for any more included.
    """

    def __init__(self, count_max: int) -> None:
        self._free = asyncio.Semaphore(count_max)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._count = 0
        self.busy = 0

    async def wait_for_one(self) -> None:
        """Wait until a thread is free, and take it: `call` follows at once."""
        await self._free.acquire()

    def call(self, function: Callable[[], object]) -> asyncio.Future[Any]:
        """Run a function in the thread that was taken.

        Returns:
            Its outcome. Cancelling does not end the function: its thread stays busy until it returns.
        """
        loop = asyncio.get_running_loop()
        job = _Job(loop, loop.create_future(), function)
        self.busy += 1
        if self._count < self.busy:
            self._count += 1
            threading.Thread(target=self._work, name=f"perdure-activity-{self._count}", daemon=True).start()
        self._jobs.put(job)
        return job.future

    def stop(self) -> None:
        """End the threads that run nothing, and the others once they do."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, error = None, None
            try:
                result = job.function()
            except BaseException as raised:  # noqa: BLE001 - handed to who waits for it
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                job.loop.call_soon_threadsafe(self._ended, job.future, result, error)
            del job, result, error

    def _ended(self, future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
        self.busy -= 1
        self._free.release()
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(_bearable(error))


def _bearable(error: BaseException) -> BaseException:
    """Wrap what must not be raised in an event loop: it would hang the future or end the process."""
    if isinstance(error, Exception | SystemExit) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the function raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
