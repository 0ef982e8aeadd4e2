"""Who waits for which external event, and which events nobody has taken yet: first come, first served, per name.

An event is handed over in one step with the removal of its waiter from the line, and a waiter that is cancelled
leaves the line in the call that cancels it. So an event is never given to somebody who no longer listens.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.replay._tasks import ReplayFuture

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.replay._loop import ReplayLoop

__all__ = ["EventFuture", "EventLines", "settle"]

R = TypeVar("R")


class EventFuture(ReplayFuture[R]):
    """One place in the line for an event."""

    __slots__ = ("decode", "line", "place")
    decode: Callable[[bytes], R]
    line: dict[int, EventFuture[Any]]
    place: int

    def cancel(self, msg: Any | None = None) -> bool:
        if not self.done():
            self.line.pop(self.place, None)
        return super().cancel(msg)


class EventLines:
    """The lines of one execution. Waiting is not recorded: replay rebuilds it from the order of code and inputs."""

    __slots__ = ("_buffered", "_places", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, EventFuture[Any]]] = {}
        self._buffered: dict[str, deque[bytes]] = {}
        self._places = 0

    def wait(self, loop: ReplayLoop, name: str, decode: Callable[[bytes], R]) -> EventFuture[R]:
        """Take the oldest unread event of this name, or the last place in the line for it."""
        future: EventFuture[R] = loop.adopt(EventFuture)  # pyright: ignore[reportUnknownVariableType]
        future.decode = decode
        future.line = self._waiting.setdefault(name, {})
        self._places = future.place = self._places + 1
        buffered = self._buffered.get(name)
        if buffered:
            settle(future, decode, buffered.popleft())
        else:
            future.line[future.place] = future
        return future

    def arrive(self, name: str, payload: bytes) -> None:
        """Hand an event to the first in line, or keep it."""
        line = self._waiting.get(name)
        if line:
            future = line.pop(next(iter(line)))
            settle(future, future.decode, payload)
        else:
            self._buffered.setdefault(name, deque()).append(payload)

    def names(self) -> list[str]:
        """Names of the events that are waited for, one per waiter."""
        return [name for name, line in self._waiting.items() for _ in line]


def settle(
    future: ReplayFuture[R],
    decode: Callable[[bytes], R],
    payload: bytes,
    *,
    but_raise: type[Exception] | tuple[()] = (),
) -> None:
    """Give a future its decoded value; what decoding raises, but for one kind, is raised where the code awaits."""
    try:
        value = decode(payload)
    except but_raise:
        raise
    except StopIteration as error:
        future.set_exception(RuntimeError(f"decoding raised {error!r}"))  # a future cannot carry StopIteration
    except Exception as error:  # noqa: BLE001 - handed on, not swallowed: the awaiting code gets it
        future.set_exception(error)
    else:
        future.set_result(value)
