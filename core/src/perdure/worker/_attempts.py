"""One attempt of one activity: its function called, and whatever it returns or raises made an outcome."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from perdure import events
from perdure.authoring import ActivityInfo, _activity_info_var
from perdure.engine import out_of_line
from perdure.errors import Misuse
from perdure.failures import capture
from perdure.ids import message_id
from perdure.worker._fit import fitting
from perdure.worker._threads import Threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.authoring import Activity
    from perdure.hub import OpenHub
    from perdure.ids import Key
    from perdure.messages import RunTask
    from perdure.worker._outages import Outages

__all__ = ["Attempts", "Ended"]

logger = logging.getLogger("perdure.worker")

Ended = events.TaskCompleted | events.TaskFailed

CLEAN_UP_SECONDS = 10.0
"""How long a function over its timeout may take to clean up before it is left to itself."""


class Attempts:
    """Calls the functions of one worker's activities.

    Attributes:
        threads: Where plain functions run.
    """

    def __init__(self, hub: OpenHub, outages: Outages, threads_max: int) -> None:
        self._hub = hub
        self._outages = outages
        self.threads = Threads(threads_max)
        self._broken_off: set[asyncio.Future[object]] = set()

    async def outcome(self, activity: Activity[..., object], message: RunTask, group: Key) -> Ended:
        """Run the function, as far as its arguments fit; whatever it raises is its outcome.

        Raises:
            CancelledError: The worker broke it off.
            Corrupt: Its input is damaged.
        """
        task = message.task
        payload = task.input
        if not isinstance(payload, bytes):
            payload = await self._outages.outlast(group, lambda: self._hub.get_payload(group, task.input))
        try:
            args, kwargs = activity.decode_args(payload)
            run = self._on_loop if activity.is_async else self._in_thread
            value = await run(message, group, functools.partial(activity.fn, *args, **kwargs))
            result = activity.encode_result(value)
        except asyncio.CancelledError as problem:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise  # the worker broke it off
            return self._failed(message, problem)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - the user's: it is the outcome
            return self._failed(message, problem)
        return await self._completed(group, message, result)

    def _failed(self, message: RunTask, problem: BaseException) -> events.TaskFailed:
        """Record what was raised. Bad arguments and results stay bad: no retry mends them."""
        failure = fitting(capture(problem), self._hub.inline_bytes_max)
        if isinstance(problem, Misuse):
            failure = msgspec.structs.replace(failure, retryable=False)
        return events.TaskFailed(message.task.seq, failure)

    async def _completed(self, group: Key, message: RunTask, result: bytes) -> Ended:
        """Keep a large result out of line (R16); one that no hub of this kind could keep is a failure."""
        task = message.task
        if len(result) <= self._hub.inline_bytes_max:
            return events.TaskCompleted(task.seq, result)
        name = f"{message.incarnation}/t/{message.execution}-{task.seq}/{self._hub.new_id()}"
        copy = out_of_line(group, name, result)
        try:
            await self._outages.outlast(group, lambda: self._hub.put_payloads([copy.stored]))
        except Misuse as problem:
            return self._failed(message, problem)
        return events.TaskCompleted(task.seq, copy.reference)

    async def _on_loop(self, message: RunTask, group: Key, function: Callable[[], Any]) -> object:
        """Call an async function. Its time begins when it does, not while this worker stands still before."""
        _activity_info_var.set(self._info(message, group))
        if not message.task.timeout:
            return await function()
        begun = asyncio.Event()

        async def begin() -> object:
            begun.set()
            return await function()

        return await self._bounded(begin(), message.task, begun)

    async def _in_thread(self, message: RunTask, group: Key, function: Callable[[], Any]) -> object:
        """Call a plain function in a thread. Its time begins when it does, not while it waits for one."""
        await self.threads.wait_for_one()
        context = contextvars.copy_context()
        context.run(_activity_info_var.set, self._info(message, group))
        running, task = self.threads.call(functools.partial(context.run, function)), message.task
        return await (self._bounded(running, task) if task.timeout else running)

    async def _bounded(
        self, running: Awaitable[object], task: events.TaskScheduled, begun: asyncio.Event | None = None
    ) -> object:
        """Bound an attempt, from when its function has begun."""
        ended = asyncio.Event()
        inner = asyncio.ensure_future(running)
        inner.add_done_callback(lambda _: ended.set())
        try:
            if begun is not None:
                await begun.wait()
            in_time = await self._hub.clock.wait(ended, task.timeout)
        except asyncio.CancelledError:
            await self._break_off(inner, ended)
            raise
        if in_time:
            return await inner
        await self._break_off(inner, ended)
        raise TimeoutError(f"Activity {task.name!r} took longer than its timeout of {task.timeout:g} s.")

    async def _break_off(self, inner: asyncio.Future[object], ended: asyncio.Event) -> None:
        """Cancel, and wait while it cleans up; one that does not end is left to itself, for nothing can end it."""
        inner.cancel()
        self._broken_off.add(inner)
        inner.add_done_callback(self._forget)
        if not await self._hub.clock.wait(ended, CLEAN_UP_SECONDS):
            logger.warning("An activity was cancelled and goes on all the same: it swallows CancelledError.")

    def _forget(self, inner: asyncio.Future[object]) -> None:
        self._broken_off.discard(inner)
        if not inner.cancelled():
            inner.exception()  # seen: what it raised while it was broken off is not its outcome

    def _info(self, message: RunTask, group: Key) -> ActivityInfo:
        task = message.task
        first = task.attempt_of or task.seq
        deadline = datetime.fromtimestamp(self._hub.clock.now() + task.timeout, UTC) if task.timeout else None
        return ActivityInfo(
            name=task.name,
            idempotency_key=message_id(message.incarnation, message.execution, first),
            instance_id=group,
            execution=message.execution,
            attempt=task.attempt,
            deadline=deadline,
        )
