"""Tasks, futures and handles whose names and hashes are the same in every process.

asyncio keeps tasks in sets (`wait`, `as_completed`, `TaskGroup`) and code iterates over them. A set orders its members
by hash, and the usual hash is an address. Here it is a number that depends on the recorded seed and on how many were
made before.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from asyncio import tasks as asyncio_tasks
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import CodeType, FrameType

    from perdure.replay._loop import ReplayLoop

    _GatheringFuture = asyncio.Future[Any]
    GATHERING_BIRTH: CodeType
else:
    _GatheringFuture = asyncio_tasks._GatheringFuture  # noqa: SLF001
    GATHERING_BIRTH = _GatheringFuture.__init__.__code__

AbstractEventLoop = asyncio.AbstractEventLoop
# What asyncio offers to event loops and tasks of other makers; documented there, with these underscores.
running_loop = asyncio._get_running_loop  # noqa: SLF001
set_running_loop = asyncio._set_running_loop  # noqa: SLF001
enter_task = asyncio_tasks._enter_task  # noqa: SLF001
leave_task = asyncio_tasks._leave_task  # noqa: SLF001

__all__ = ["GatheringFuture", "ReplayFuture", "ReplayHandle", "ReplayTask", "ReplayTimerHandle", "Tasks"]

R = TypeVar("R")

SWEEP_AT = 64
_ENSURE_FUTURE = frozenset({"ensure_future", "_ensure_future", "<setcomp>"})
_AS_COMPLETED = {"as_completed": "fs", "__init__": "aws"}
"""Where `as_completed` lives, and the name of its argument: a function up to 3.12, a class from 3.13 on."""


class ReplayFuture(asyncio.Future[R]):
    """A future of the replay loop. The loop sets `order` right after making it."""

    __slots__ = ("order",)
    order: int

    def __hash__(self) -> int:
        return self.order


class ReplayTask(asyncio.Task[R]):
    """A task of the replay loop. `order` is there before `__init__`, which puts the task into asyncio's own sets."""

    __slots__ = ("context", "order")
    order: int
    context: contextvars.Context

    def __hash__(self) -> int:
        return self.order


class GatheringFuture(_GatheringFuture):
    """What `asyncio.gather` returns, with a hash of ours: the loop turns its gathering futures into these."""

    order: int

    def __hash__(self) -> int:
        return self.order


class ReplayHandle(asyncio.Handle):
    """A callback that is ready to run."""

    __slots__ = ()
    if TYPE_CHECKING:
        _callback: Callable[..., object]
        _context: contextvars.Context

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        # Not super().__init__: it asks the loop for its debug mode, which here means that a future is born.
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def __repr__(self) -> str:
        return f"<ReplayHandle {self._callback!r}>"


class ReplayTimerHandle(asyncio.TimerHandle):
    """A durable timer. `seq` is its command; 0 if it was set where nothing is recorded any more."""

    __slots__ = ("seq",)
    seq: int
    if TYPE_CHECKING:
        _callback: Callable[..., object]
        _context: contextvars.Context
        _loop: ReplayLoop

    def __init__(
        self,
        seq: int,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: ReplayLoop,
        context: contextvars.Context | None,
    ) -> None:
        self.seq = seq
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._loop.cancel_timer(self)

    def describe(self) -> str:
        """Say what is waited for."""
        until = f"until {show_time(self._when)} (seq {self.seq})"
        owner = getattr(self._callback, "__self__", None)
        describe = getattr(owner, "describe_retry", None)
        return f"{describe()} {until}" if describe else f"timer {until}"

    def __repr__(self) -> str:
        return f"<ReplayTimerHandle {self.describe()}>"


class Tasks:
    """The tasks of one execution: owned here, since asyncio holds them weakly and garbage has no order."""

    __slots__ = ("_all", "_arranged", "_count", "_sweep_at")

    def __init__(self) -> None:
        self._all: list[ReplayTask[Any]] = []
        self._arranged: dict[object, ReplayTask[Any]] = {}
        self._count = 0
        self._sweep_at = SWEEP_AT

    def make(
        self,
        loop: ReplayLoop,
        coroutine: Coroutine[Any, Any, R],
        name: object,
        context: contextvars.Context | None,
        options: dict[str, Any],
    ) -> ReplayTask[R]:
        """Make a task with the next number; `options` are `eager_start` or nothing."""
        self._count += 1
        if len(self._all) >= self._sweep_at:
            self._sweep()
        task: ReplayTask[R] = ReplayTask.__new__(ReplayTask)  # pyright: ignore[reportUnknownVariableType]
        task.order = loop.next_order()
        task.context = context = contextvars.copy_context() if context is None else context
        self._all.append(task)
        loop.expect_birth()
        task.__init__(  # type: ignore[misc] # C's own; the hash has to be there before
            coroutine, loop=loop, name=f"task-{self._count}" if name is None else str(name), context=context, **options
        )
        return task

    def arranged(self, loop: ReplayLoop, coroutine: object) -> ReplayTask[Any] | None:
        """Find the task that was already made for a coroutine given to `asyncio.as_completed`.

        `as_completed` puts its arguments into a set before it makes tasks of them, and coroutines hash by address. So
        at the first of them tasks are made for all, in the order of the list that the caller gave.

        Raises:
            NotDeterministic: What the caller gave has no order any more. The loop is doomed by it.
        """
        if self._arranged and coroutine in self._arranged:
            return self._arranged.pop(coroutine)
        frame = _as_completed_frame(sys._getframe(2))  # noqa: SLF001
        if frame is None:
            return None
        given: object = frame.f_locals[_AS_COMPLETED[frame.f_code.co_name]]
        if not isinstance(given, list | tuple):
            if isinstance(getattr(coroutine, "_order", None), int):  # a Call has a hash of its own
                return None
            raise loop.doom_not_deterministic(
                "asyncio.as_completed() was given coroutines in something else than a list or tuple, at "
                f"{loop.asking_line()}: their order would depend on memory addresses. Give it a list."
            )
        for each in cast("list[object]", given):
            if asyncio.iscoroutine(each) and each not in self._arranged:
                self._arranged[each] = self.make(loop, each, None, None, {})
        return self._arranged.pop(coroutine)

    def live(self) -> list[ReplayTask[Any]]:
        """All tasks that are not done, in the order of making."""
        return [task for task in self._all if not task.done()]

    def forget(self) -> None:
        """Let go of all tasks; those pending say nothing when they are collected."""
        for task in self.live():
            object.__setattr__(task, "_log_destroy_pending", False)  # asyncio's own switch, which is not typed
        self._all.clear()
        self._arranged.clear()

    def _sweep(self) -> None:
        self._all = self.live()
        self._sweep_at = max(SWEEP_AT, 2 * len(self._all))


def show_time(seconds: float) -> str:
    """Write an orchestration time for people."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"  # beyond what a date can be; as a time to fire at it is legal


def _as_completed_frame(frame: FrameType | None) -> FrameType | None:
    """Find the frame of `as_completed` if that is who makes a task."""
    asyncio_globals = asyncio_tasks.__dict__
    while frame is not None and frame.f_globals is asyncio_globals:
        name = frame.f_code.co_name
        if name in _AS_COMPLETED and _AS_COMPLETED[name] in frame.f_locals:
            return frame
        if name not in _ENSURE_FUTURE:
            return None
        frame = frame.f_back
    return None
