"""A call of an activity, a sub-orchestration or an event: a coroutine that is recorded when it starts.

It is coroutine and future in one. Awaited directly, it starts and then *is* its future's iterator: no task, no frame
of Python between the awaiting code and the future. Given to `create_task`, it starts with the task's first step, as
any coroutine does.
"""

from __future__ import annotations

import sys
import warnings
from abc import abstractmethod
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.errors import NotDeterministic
from perdure.replay._loop import ReplayLoop, current_loop
from perdure.replay._values import Unstarted
from perdure.replay._where import caller_outside, line_number, line_of

if TYPE_CHECKING:
    import asyncio
    from types import CodeType, TracebackType

__all__ = ["Call"]

R = TypeVar("R")


class Call(Coroutine[Any, Any, R]):
    """What calling an activity or an orchestration gives. A subclass says what starting means, in two methods.

    A subclass with an `__init__` of its own calls `super().__init__()` in it.
    """

    __slots__ = ("__weakref__", "_code", "_home", "_inner", "_instruction", "_order")
    _code: CodeType
    _order: int
    _home: ReplayLoop | None
    _inner: Generator[Any, Any, R] | None
    _instruction: int

    def __init__(self) -> None:
        # The line of making is remembered as code and offset: a frame would keep its locals, a line costs a search.
        frame = caller_outside(sys._getframe(1))  # noqa: SLF001
        self._code = frame.f_code
        self._instruction = frame.f_lasti
        self._inner = None
        self._home = home = current_loop()
        if home is None:
            self._order = object.__hash__(self)
        else:
            self._order = home.next_order()
            home.calls_unstarted[self._order] = self

    @abstractmethod
    def _start(self, loop: ReplayLoop) -> asyncio.Future[R]:
        """Record the command on `loop`, inside an orchestration, and give the future of its outcome."""

    @abstractmethod
    def _run_outside(self) -> Coroutine[Any, Any, R]:
        """Do it right here, outside of any orchestration: run the plain function."""

    def _describe(self) -> str:
        """Name the call for people; a subclass knows better."""
        return type(self).__name__

    def describe_unstarted(self) -> Unstarted:
        """Say which call it is and where it was made."""
        return Unstarted(self._describe(), line_of(self._code, self._instruction))

    def __await__(self) -> Generator[Any, Any, R]:
        if self._inner is not None:
            raise RuntimeError(f"cannot await {self._describe()} a second time: make a new call")
        loop, home = current_loop(), self._home
        if home is not None and home.is_ended:
            # Torn down, perhaps even garbage by now. Raising would spin code that catches everything and tries again.
            self._spend()
            return home.create_future().__await__()
        if home is not None and loop is not home:
            # The crash it guards: code of an orchestration goes on where nothing is recorded, as in a finalizer.
            raise self._misplaced(loop, home)
        return self._begin(loop)

    def send(self, value: Any, /) -> Any:
        if self._inner is None:
            if value is not None:
                raise TypeError("can't send non-None value to a just-started coroutine")
            return self.__await__().send(None)
        return self._inner.send(value)

    @overload
    def throw(self, typ: type[BaseException], val: object = None, tb: TracebackType | None = None, /) -> Any: ...
    @overload
    def throw(self, typ: BaseException, val: None = None, tb: TracebackType | None = None, /) -> Any: ...
    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None, /) -> Any:
        if self._inner is None:
            self._spend()
        inner = self._inner
        assert inner is not None
        return inner.throw(typ) if val is None and tb is None else inner.throw(typ, val, tb)

    def close(self) -> None:
        if self._inner is None:
            self._spend()
        else:
            self._inner.close()

    def __hash__(self) -> int:
        return self._order

    def __eq__(self, other: object) -> bool:
        return self is other

    def __del__(self) -> None:
        try:
            if self._inner is not None or self._home is not None:
                return
        except AttributeError:  # the subclass's own __init__ raised before it came to ours: there is no call
            return
        line = line_number(self._code, self._instruction)
        text = f"{self._describe()} was never awaited"
        warnings.warn_explicit(text, RuntimeWarning, self._code.co_filename, line, source=self)

    def _begin(self, loop: ReplayLoop | None) -> Generator[Any, Any, R]:
        self._spend()
        if loop is None:
            self._inner = self._run_outside().__await__()
        else:
            loop.calls_unstarted.pop(self._order, None)
            self._inner = self._start(loop).__await__()
        return self._inner

    def _spend(self) -> None:
        """Count as started, whatever comes of it."""
        self._inner = _nothing()
        if self._home is not None:
            self._home.calls_unstarted.pop(self._order, None)

    def _misplaced(self, loop: ReplayLoop | None, home: ReplayLoop) -> NotDeterministic:
        text = (
            f"{self._describe()} was made inside the orchestration {home.info.instance_id} and is awaited outside of "
            f"it, at {(loop or home).asking_line()}: it would run unrecorded. Await it where it was made."
        )
        return NotDeterministic(text) if loop is None else loop.doom_not_deterministic(text)


def _nothing() -> Generator[Any, Any, Any]:
    """What a call is that was closed, or that could not start."""
    nothing: tuple[Any, ...] = ()
    return (each for each in nothing)
