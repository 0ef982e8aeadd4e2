"""Feeding one recorded input to the code that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.commands import CreateSubOrchestration, ScheduleTask
from perdure.events import (
    INPUTS,
    EventRaised,
    Payload,
    SubOrchestrationCompleted,
    SubOrchestrationCreated,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerFired,
)
from perdure.replay._tasks import ReplayTimerHandle
from perdure.replay._work import WorkFuture

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.replay._loop import ReplayLoop

__all__ = ["feed", "inline"]

_TASK = (ScheduleTask, TaskScheduled)
_CHILD = (CreateSubOrchestration, SubOrchestrationCreated)


def feed(loop: ReplayLoop, given: INPUTS) -> None:
    """Settle what the input answers. One that comes too late, after a cancellation for example, does nothing.

    Raises:
        TurnDoomed: The input cannot belong to this history (reason `input`).
    """
    if loop.main is None:
        raise loop.doom("input", f"the first input must be ExecutionStarted, not {type(given).__name__}.")
    answer = _ANSWERS.get(type(given))
    if answer is None:
        raise loop.doom("input", f"{type(given).__name__} is no input that running code can take.")
    answer(loop, given)


def inline(loop: ReplayLoop, payload: Payload) -> bytes:
    """Expect a payload to be here.

    Raises:
        TurnDoomed: It is a reference. Fetch payloads before a turn.
    """
    if isinstance(payload, bytes):
        return payload
    raise loop.doom("input", f"the payload {payload.name} was not fetched before the turn.")


def _task_completed(loop: ReplayLoop, given: TaskCompleted) -> None:
    work = _take_work(loop, given, given.seq, _TASK)
    if work is not None:
        work.complete(inline(loop, given.result))


def _task_failed(loop: ReplayLoop, given: TaskFailed) -> None:
    work = _take_work(loop, given, given.seq, _TASK)
    if work is not None:
        work.fail(given.failure)


def _child_completed(loop: ReplayLoop, given: SubOrchestrationCompleted) -> None:
    work = _take_work(loop, given, given.seq, _CHILD)
    if work is not None:
        work.complete(inline(loop, given.result))


def _child_failed(loop: ReplayLoop, given: SubOrchestrationFailed) -> None:
    work = _take_work(loop, given, given.seq, _CHILD)
    if work is not None:
        work.fail(given.failure)


def _timer_fired(loop: ReplayLoop, given: TimerFired) -> None:
    timer = _open(loop, given, given.seq)
    if isinstance(timer, ReplayTimerHandle):
        del loop.open[given.seq]
        loop.fire(timer)
    elif timer is not None:
        raise _wrong_kind(loop, given, timer.describe())


def _event_raised(loop: ReplayLoop, given: EventRaised) -> None:
    loop.lines.arrive(given.name, inline(loop, given.input))


_ANSWERS: dict[type[Any], Callable[[ReplayLoop, Any], None]] = {
    TaskCompleted: _task_completed,
    TaskFailed: _task_failed,
    SubOrchestrationCompleted: _child_completed,
    SubOrchestrationFailed: _child_failed,
    TimerFired: _timer_fired,
    EventRaised: _event_raised,
}


def _take_work(loop: ReplayLoop, given: INPUTS, seq: int, kinds: tuple[type, type]) -> WorkFuture[Any] | None:
    work = _open(loop, given, seq)
    if work is None:
        return None
    if not isinstance(work, WorkFuture) or not isinstance(work.asked, kinds):
        raise _wrong_kind(loop, given, work.describe())
    del loop.open[seq]
    return work


def _open(loop: ReplayLoop, given: INPUTS, seq: int) -> WorkFuture[Any] | ReplayTimerHandle | None:
    found = loop.open.get(seq)
    if found is None and not 1 <= seq <= loop.ledger.seq:
        raise loop.doom("input", f"{type(given).__name__} answers seq {seq}, but the code asked for nothing by it.")
    return found


def _wrong_kind(loop: ReplayLoop, given: INPUTS, asked: str) -> Exception:
    return loop.doom("input", f"{type(given).__name__} answers what is no such thing: {asked}.")
