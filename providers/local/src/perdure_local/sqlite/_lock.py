"""One fair lock for all processes that use a folder.

Every write and every checkpoint runs under it. SQLite's own busy handler polls: with several writers it starves them
for seconds. `flock` alone wakes all who wait, and whoever released takes it again before they are awake (waits of
270 ms were measured with 4 processes). So there are two locks, a gate and a room:

    take:   lock the gate, lock the room, leave the gate          give back:   leave the room

Whoever gives back and wants to come in again finds the next one standing in the gate, so nobody comes in twice while
another one waits (longest wait measured with 4 busy processes: 20 ms). The kernel gives back the locks of a process
that dies.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import weakref
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FairLock"]


class FairLock:
    """A lock between processes. Within a process each one has one user, on one event loop."""

    def __init__(self, folder: Path) -> None:
        self._gate = _open(folder / "gate.lock")
        self._room = _open(folder / "room.lock")
        self._requests: SimpleQueue[asyncio.Future[None] | None] = SimpleQueue()
        self._waiter: Thread | None = None
        _LOCKS.add(self)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it and nobody waits for it."""
        if not _try_lock(self._gate):
            return False
        try:
            return _try_lock(self._room)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    async def wait(self) -> None:
        """Take the lock as soon as it is free.

        Raises:
            CancelledError: This was cancelled; the lock is not held.
            OSError: The file system refuses to lock.
        """
        if self.try_acquire():
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests.put(granted)
        if self._waiter is None:
            # One thread for good: starting one was measured to take up to 6 ms beside busy processes. A daemon: who
            # wants to end must not wait for another process that was stopped while it has the lock.
            self._waiter = Thread(target=self._stand_in_line, name="perdure-lock", daemon=True)
            self._waiter.start()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self.release()
            raise

    def acquire(self) -> None:
        """Wait for the lock and take it; blocks the calling thread.

        Raises:
            OSError: The file system refuses to lock.
        """
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the lock back."""
        fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files, and of the lock if it is held."""
        _LOCKS.discard(self)
        self.release()
        if self._waiter is None:
            self._close_files()
        else:
            self._requests.put(None)  # It closes them: another file may get their numbers while it stands in line.

    def _stand_in_line(self) -> None:
        while (granted := self._requests.get()) is not None:
            error = None
            try:
                self.acquire()
            except OSError as refused:
                error = refused
            try:
                granted.get_loop().call_soon_threadsafe(self._grant, granted, error)
            except RuntimeError:  # The loop was closed meanwhile, and with it everybody who could give it back.
                self.release()
        self._close_files()

    def _grant(self, granted: asyncio.Future[None], error: OSError | None) -> None:
        if granted.cancelled():
            self.release()
        elif error is not None:
            granted.set_exception(error)
        else:
            granted.set_result(None)

    def _close_files(self) -> None:
        os.close(self._gate)
        os.close(self._room)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_LOCKS: weakref.WeakSet[FairLock] = weakref.WeakSet()


def _close_in_child() -> None:
    """Guard against a parent that dies while it holds a lock: a forked child would keep it locked for ever."""
    for lock in list(_LOCKS):
        lock._close_files()  # noqa: SLF001 - the thread that would do it is not there in the child


os.register_at_fork(after_in_child=_close_in_child)
