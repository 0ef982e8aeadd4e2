"""Who has the hub open: a locked file for each opened database, in the folder `alive`.

The kernel gives back the locks of a process that dies, however it dies. So a file that can be locked belonged to one
that is gone, and what it held may be taken over at once, not when its leases end. A process that is only stopped or
slow keeps its lock, and its leases until they end.
"""

from __future__ import annotations

import fcntl
import os
import re
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Alive"]

_NAME = re.compile("[0-9a-f]{1,16}")


class Alive:
    """This opened database's file, and a look at the others'.

    Args:
        folder: Where the files are; it exists.
        name: This database's, unlike all others.
    """

    def __init__(self, folder: Path, name: int) -> None:
        self._folder = folder
        self._name = f"{name:x}"
        self._file = -1

    def begin(self) -> None:
        """Count as alive from now on; under the hub's lock, or others might find the file before it is locked."""
        self._file = os.open(self._folder / self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _OPEN.add(self)

    def find_dead(self) -> list[int]:
        """Find whose process has died. Sure only under the hub's lock: one that begins is not locked for a moment."""
        with suppress(FileNotFoundError):  # Somebody deletes the hub: there is nobody.
            names = [file.name for file in self._folder.iterdir() if file.name != self._name]
            return [int(name, 16) for name in names if self._is_dead(name)]
        return []

    def forget(self, dead: Iterable[int]) -> None:
        """Remove the files of the dead, once nothing is held by them any more."""
        for name in dead:
            (self._folder / f"{name:x}").unlink(missing_ok=True)

    def close(self) -> None:
        """Count neither as alive nor as dead any more: what is still held is so until its lease ends."""
        if self._file >= 0:
            (self._folder / self._name).unlink(missing_ok=True)
            self.drop()

    def drop(self) -> None:
        """Let go of the file alone."""
        _OPEN.discard(self)
        os.close(self._file)
        self._file = -1

    def _is_dead(self, name: str) -> bool:
        if not _NAME.fullmatch(name):
            return False  # Not one of ours.
        try:
            file = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # Somebody else has removed it.
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # Shared: two who look must not see each other.
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(file)


_OPEN: weakref.WeakSet[Alive] = weakref.WeakSet()


def _close_in_child() -> None:
    """Guard against a forked child that outlives its parent: it would keep the parent alive."""
    for alive in list(_OPEN):
        alive.drop()


os.register_at_fork(after_in_child=_close_in_child)
