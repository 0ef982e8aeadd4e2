"""Taking an execution down without effects: its coroutines are closed, not left to the garbage collector.

Closing throws `GeneratorExit` into the code, with the replay loop as running loop, so that `finally` runs and finds a
loop, a current task and its own context. Whatever it asks for is ignored. A `finally` that awaits is closed again, ten
times in all; what still lives then is handed to the caller to be kept for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.replay._tasks import enter_task, leave_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.replay._driver import Generator
    from perdure.replay._loop import ReplayLoop
    from perdure.replay._tasks import ReplayTask

__all__ = ["CLOSES_MAX", "close_all"]

CLOSES_MAX = 10


def close_all(loop: ReplayLoop) -> Sequence[object]:
    """Close what lives on the loop; the loop is of no use afterwards.

    Returns:
        The tasks and async generators that survived ten closes.
    """
    loop.is_ended = True
    loop.enter()
    try:
        survivors = [*_close_tasks(loop), *_close_generators(loop)]
    finally:
        loop.leave()
        loop.drop_ready()
        loop.open.clear()
        loop.tasks.forget()
    return survivors


def _close_tasks(loop: ReplayLoop) -> list[ReplayTask[Any]]:
    """Close newest first, since newer tasks are mostly inside older ones; code may make new ones meanwhile."""
    for _ in range(CLOSES_MAX):
        alive = [task for task in loop.tasks.live() if not _is_closed(task)]
        if not alive:
            return []
        for task in reversed(alive):
            _close_task(loop, task)
    return [task for task in loop.tasks.live() if not _is_closed(task)]


def _close_task(loop: ReplayLoop, task: ReplayTask[Any]) -> None:
    coroutine = task.get_coro()
    assert coroutine is not None
    enter_task(loop, task)
    try:
        task.context.run(coroutine.close)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - kept in `unhandled`: nobody else can look at it any more
        if _is_closed(task):
            loop.call_exception_handler({"message": f"closing {task.get_name()} raised", "exception": error})
    finally:
        leave_task(loop, task)


def _is_closed(task: ReplayTask[Any]) -> bool:
    """Tell whether a coroutine has no frame any more; a `Call` has none, and closes at once."""
    return getattr(task.get_coro(), "cr_frame", None) is None


def _close_generators(loop: ReplayLoop) -> list[Generator]:
    """Close the async generators that were begun and not run to their end."""
    return [each for each in loop.take_generators() if not _close_generator(loop, each)]


def _close_generator(loop: ReplayLoop, generator: Generator) -> bool:
    closing = generator.aclose()
    try:
        closing.send(None)
        for _ in range(CLOSES_MAX):  # it awaits in its `finally`
            closing.throw(GeneratorExit())
    except (StopIteration, GeneratorExit):
        return True
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - kept in `unhandled`: nobody else can look at it any more
        loop.call_exception_handler({"message": f"closing {generator!r} raised", "exception": error})
        return generator.ag_frame is None
    return False
