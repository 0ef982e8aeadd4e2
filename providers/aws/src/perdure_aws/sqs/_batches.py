"""Requests of ten: what many callers ask at one time goes out together.

Of one kind of request to one queue, one is under way; what is asked meanwhile waits for its end, or until ten are
there, or until that one is late. So nothing waits where there is little to do, and under load a message costs a tenth
of a request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from perdure_aws.sqs._limits import BATCH_MAX, REQUEST_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from perdure.spi import PerdureError

__all__ = ["Answer", "Batches", "Entry"]

Entry: TypeAlias = "dict[str, Any]"
"""One message of a batch request as the SDK takes it, without its `Id`."""

Answer: TypeAlias = "PerdureError | None"
"""What became of an entry; None: it was done."""

Line: TypeAlias = "tuple[str, str]"
"""Operation and queue URL: what can go out in one request."""

_Asked: TypeAlias = "tuple[Entry, asyncio.Future[Answer]]"

_UNDER_WAY_MAX = 8
_LATE_SECONDS = 0.5
"""A request that takes longer holds up no other: behind one that hangs, leases would end that could be renewed."""


class _Waiting:
    """What is asked on one line and has not gone out, and how many requests it waits for."""

    def __init__(self) -> None:
        self.entries: deque[_Asked] = deque()
        self.under_way = 0
        self.is_starting = False


class Batches:
    """Collects entries, sends them in batches, and gives each caller the answers to its own.

    Args:
        send: Sends one batch and gives an answer for each entry, in order.
    """

    def __init__(self, send: Callable[[str, str, Sequence[Entry]], Coroutine[Any, Any, Sequence[Answer]]]) -> None:
        self._send = send
        self._lines: dict[Line, _Waiting] = {}
        self._tasks: set[asyncio.Task[Sequence[Answer]]] = set()
        self._late: set[asyncio.Task[Sequence[Answer]]] = set()

    async def ask(self, operation: str, url: str, entries: Sequence[Entry]) -> list[Answer]:
        """Have entries sent, in as many requests as it takes; one answer for each, in order.

        Of a caller that is cancelled, what has not gone out yet never will.
        """
        loop = asyncio.get_running_loop()
        asked: list[_Asked] = [(entry, loop.create_future()) for entry in entries]
        line = (operation, url)
        waiting = self._lines.setdefault(line, _Waiting())
        waiting.entries.extend(asked)
        if not waiting.is_starting:
            # Not at once: others of this round of the loop have something for the same request.
            waiting.is_starting = True
            loop.call_soon(self._start, line)
        return await asyncio.gather(*(answer for _, answer in asked))

    async def aclose(self) -> None:
        """Wait for the requests that are under way, and for what they make room for."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, line: Line) -> None:
        waiting = self._lines.get(line)
        if waiting is None:
            return  # what this start was for went out already
        waiting.is_starting = False
        while waiting.under_way == 0 or (len(waiting.entries) >= BATCH_MAX and waiting.under_way < _UNDER_WAY_MAX):
            batch = _take_batch(waiting.entries)
            if not batch:
                break
            waiting.under_way += 1
            self._send_out(line, batch)
        if waiting.under_way == 0:
            del self._lines[line]

    def _send_out(self, line: Line, batch: list[_Asked]) -> None:
        entries = [entry for entry, _ in batch]
        sending = asyncio.ensure_future(self._send(*line, entries))
        self._tasks.add(sending)
        asyncio.get_running_loop().call_later(_LATE_SECONDS, self._expect_no_more, line, sending)
        sending.add_done_callback(partial(self._end, line, [answer for _, answer in batch]))

    def _expect_no_more(self, line: Line, sending: asyncio.Task[Sequence[Answer]]) -> None:
        if not sending.done():
            self._late.add(sending)
            self._make_room(line)

    def _make_room(self, line: Line) -> None:
        self._lines[line].under_way -= 1
        self._start(line)

    def _end(self, line: Line, batch: Sequence[asyncio.Future[Answer]], task: asyncio.Task[Sequence[Answer]]) -> None:
        self._tasks.discard(task)
        problem = asyncio.CancelledError() if task.cancelled() else task.exception()
        for number, answer in enumerate(batch):
            if answer.done():
                continue  # its caller was cancelled
            if problem is None:
                answer.set_result(task.result()[number])
            elif isinstance(problem, asyncio.CancelledError):
                answer.cancel()
            else:
                answer.set_exception(problem)
        if task in self._late:
            self._late.discard(task)  # it made room already
        else:
            self._make_room(line)


def _take_batch(
    entries: deque[_Asked],
) -> list[_Asked]:
    """Take as many as go into one request, by number and by size; those that nobody waits for any more are left out."""
    batch: list[_Asked] = []
    room = REQUEST_BYTES_MAX
    while entries and len(batch) < BATCH_MAX:
        entry, answer = entries[0]
        size = len(entry.get("MessageBody", "").encode())
        if not answer.done():
            if batch and size > room:
                break
            room -= size
            batch.append((entry, answer))
        entries.popleft()
    return batch
