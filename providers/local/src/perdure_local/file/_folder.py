"""The folder of a hub of files: which ones are fit, and how files get into it durably."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.spi import Location, Misuse, Unavailable
from perdure_local.file._errors import translated
from perdure_local.sqlite._folder import _MOUNTS, _SHARED_FILE_SYSTEMS, find_file_system

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["check_location", "locked", "prepare_folder", "sync_folder", "write_file"]

_OPTIONS: tuple[str, ...] = ()

_PATIENCE_SECONDS = 20.0
_PAUSE_FIRST_SECONDS, _PAUSE_LAST_SECONDS = 0.0005, 0.01

_LOCK_FILES: set[int] = set()


def check_location(location: Location) -> None:
    """Refuse options; there are none.

    Raises:
        Misuse: The message names the option.
    """
    for option in location.options:
        nearest = get_close_matches(option, _OPTIONS, 1)
        mend = f"did you mean {nearest[0]!r}?" if nearest else "remove it, file: takes none."
        raise Misuse(f"{location.url}: there is no option {option!r}: {mend}")


def prepare_folder(path: str, *parts: str) -> Path:
    """Create the folder of a hub, or check the one that is there.

    Args:
        path: Relative to the working directory, or absolute.
        parts: Folders to create in it.

    Returns:
        Its real path: the same for every way to write it.

    Raises:
        Misuse: It cannot be used; the message says what to change.
    """
    if not path or "\0" in path:
        raise Misuse(f"file:{path!r} names no folder: write for example file:.perdure.")
    folder = Path(os.path.realpath(path))
    with translated(str(folder)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(folder)
        for part in parts:
            (folder / part).mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder)
        sync_folder(folder.parent)
    return folder


def _check(folder: Path) -> None:
    if folder.stat().st_mode & stat.S_IWOTH:
        raise Misuse(f"Everybody may write to {folder}, and so into any history: run `chmod 700 {folder}` first.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Misuse(f"{folder} must be readable and writable by this user: check its owner, its mode and the mount.")
    file_system = find_file_system(folder, _MOUNTS)
    if file_system in _SHARED_FILE_SYSTEMS:
        raise Misuse(
            f"{folder} is on a {file_system} file system, which other machines can reach: locks do not hold there. "
            "Use a folder on a local disk, or a hub made for several machines."
        )


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Generator[None, None, None]:
    """Hold a lock between processes, and between threads of this one. It ends with the process that holds it.

    Args:
        path: The lock's file; created where it is missing, never deleted: a lock on a deleted file locks nobody out.
        shared: Together with others who share it; not beside one who does not.

    Raises:
        Unavailable: Somebody keeps it for far longer than any call takes; try again later.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _LOCK_FILES.add(file)
    try:
        _lock(file, path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        # Not left to the close: whoever was forked meanwhile has the same file open, and would keep the lock.
        fcntl.flock(file, fcntl.LOCK_UN)
        _LOCK_FILES.discard(file)
        os.close(file)


def _lock(file: int, path: Path, kind: int) -> None:
    """Ask again and again: a call that waits in the kernel could not be given up, and neither could its thread."""
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _PAUSE_FIRST_SECONDS
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{path} has been locked for {_PATIENCE_SECONDS:g} s: a process of this hub was stopped in the "
                    f"middle of a call. Find it with `fuser {path}`, and let it go on or end it."
                ) from taken
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_LAST_SECONDS)
        else:
            return


def _close_in_child() -> None:
    """Guard against a parent that dies with a lock: a forked child would keep it for as long as it lives."""
    while _LOCK_FILES:
        os.close(_LOCK_FILES.pop())


os.register_at_fork(after_in_child=_close_in_child)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, durably; its name is durable when its folder is synced."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
