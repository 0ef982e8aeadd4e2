"""Ends turns that compute for too long: nothing else in the process can, they hold the event loop.

A thread looks ten times per limit. A turn over the limit gets `TurnOverrun` thrown into it, again and again while it
goes on, so that code which swallows it is still stopped; `Execution.overrun_requested` is set first, so that the turn
is doomed wherever the exception lands.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import TYPE_CHECKING

from perdure.replay import TurnOverrun

if TYPE_CHECKING:
    from perdure.replay import Execution

__all__ = ["Watchdog"]

_throw_into = ctypes.pythonapi.PyThreadState_SetAsyncExc
_throw_into.argtypes = (ctypes.c_ulong, ctypes.py_object)


def _take_in() -> None:
    """Throw into this very thread, in place of what may be under way, and catch it.

    Calling it back would leave CPython 3.11 with its note that some thread has one coming, for good: every function
    that is traced from then on, by a debugger or for coverage, in any thread, never gets past its first instruction.
    """
    try:
        _throw_into(threading.get_ident(), TurnOverrun)
        while True:  # it arrives at a jump backward
            pass
    except TurnOverrun:
        pass


class _Watch:
    """One turn's watch. A class, for each turn passes here."""

    __slots__ = ("_execution", "_watchdog")

    def __init__(self, watchdog: Watchdog, execution: Execution) -> None:
        self._watchdog = watchdog
        self._execution = execution

    def __enter__(self) -> None:
        self._watchdog.begin(self._execution)

    def __exit__(self, *_: object) -> None:
        self._watchdog.end(self._execution)


class Watchdog:
    """Watches one turn at a time, of the thread that calls `watch`."""

    def __init__(self, turn_seconds_max: float) -> None:
        self._limit = turn_seconds_max
        self._lock = threading.Lock()
        self._watched: tuple[Execution, int, float] | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, execution: Execution) -> _Watch:
        """Bound what runs inside to the limit of wall time."""
        return _Watch(self, execution)

    def begin(self, execution: Execution) -> None:
        """Watch what this thread does from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="perdure-watchdog", daemon=True)
            self._thread.start()
        self._watched = (execution, threading.get_ident(), time.monotonic() + self._limit)

    def end(self, execution: Execution) -> None:
        """Watch no more; whatever is thrown in here does not get out."""
        try:
            self._forget(execution)
        except TurnOverrun:  # it arrived at the door; the next one is a tenth of the limit away
            self._forget(execution)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _forget(self, execution: Execution) -> None:
        """End the watch; an exception that is still under way arrives here and is swallowed."""
        while self._watched is not None:
            try:
                with self._lock:
                    self._watched = None
                    if execution.overrun_requested:
                        _take_in()
            except TurnOverrun:
                continue

    def _look(self) -> None:
        while not self._stopped.wait(self._limit / 10):
            with self._lock:
                if self._watched is None:
                    continue
                execution, thread_id, until = self._watched
                if time.monotonic() > until:
                    execution.overrun_requested = True
                    _throw_into(thread_id, TurnOverrun)
