"""The folder of a hub: which ones are fit, and what lies in it.

hub.db, hub.db-wal, hub.db-shm     the database, its log and the index of the log
hub.db-made                        there once hub.db holds a hub: from then on an empty one is a loss
gate.lock, room.lock               the lock between processes
payloads/                          large values, one file each
alive/                             one locked file per opened database
wake/                              one socket per process that waits for something
"""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from perdure.spi import Corrupt, Misuse

__all__ = ["check_log", "find_file_system", "note_made", "prepare_folder"]

_SHARED_FILE_SYSTEMS = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fakeowner", "fuse.ceph", "fuse.cephfs", "fuse.gcsfuse",
    "fuse.glusterfs", "fuse.grpcfuse", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "virtiofs",
})  # fmt: skip
"""File systems that other machines may write to: neither locks nor shared memory reach over."""


_MOUNTS = Path("/proc/self/mountinfo")


def prepare_folder(path: str) -> Path:
    """Create the folder of a hub, or check the one that is there.

    Args:
        path: Relative to the working directory, or absolute.

    Returns:
        Its real path: the same for every way to write it.

    Raises:
        Misuse: It cannot be used; the message says what to change.
        Corrupt: The database that was here is gone.
    """
    if not path or "\0" in path:
        raise Misuse(f"sqlite:{path!r} names no folder: write for example sqlite:.perdure.")
    folder = Path(os.path.realpath(path))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(folder)
    _check_not_lost(folder)
    for name in ("alive", "payloads", "wake"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    _create_file(folder / "hub.db")
    _sync(folder)
    return folder


def note_made(folder: Path) -> None:
    """Note, once, that hub.db holds a hub."""
    made = folder / "hub.db-made"
    if not made.exists():
        _create_file(made)
        _sync(folder)


def _check_not_lost(folder: Path) -> None:
    """Guard against a database that was cut to nothing: SQLite would take it for a new one."""
    database = folder / "hub.db"
    is_empty = not database.exists() or database.stat().st_size <= 1  # SQLite takes one byte for nothing, too.
    if is_empty and (folder / "hub.db-made").exists():
        raise Corrupt(
            f"{database} is empty or gone, and it held a hub; nothing was changed. Restore the folder from a backup, "
            f"or delete all of {folder} to begin anew."
        )


class _Log(NamedTuple):
    """What the index of the log says of it.

    Attributes:
        frame_count: How many frames are committed.
        salt: Of this log, unlike those of earlier and later ones; zeros if there is no log.
    """

    frame_count: int
    salt: bytes


_INDEX = struct.Struct("=I8xBxxxI12x8s8x")
"""The first of two equal headers of the index: format, whether it is in use, committed frames, salt."""
_INDEX_FORMAT = 3007000
_NO_SALT = bytes(8)


def _parse_index(index: bytes) -> _Log | None:
    """Read what a process that died left; None if that says nothing."""
    first, second = index[: _INDEX.size], index[_INDEX.size : 2 * _INDEX.size]
    if first != second or len(first) < _INDEX.size:
        return None
    index_format, is_used, frame_count, salt = _INDEX.unpack(first)
    return _Log(frame_count, salt) if (index_format, is_used) == (_INDEX_FORMAT, 1) else None


def check_log(folder: Path) -> None:
    """Guard against a log that was damaged after its writer died; under the lock.

    SQLite takes what follows the damage for a transaction that was not finished, drops it without a word, and then
    carries an older state into the database. But the index, which is not synced and which SQLite makes anew, tells how
    much was committed: it is written when the log has been synced, so it is never ahead of a log that is whole.

    Args:
        folder: Where this process has no connection: closing any handle of the index would drop the locks of it.

    Raises:
        Corrupt: Commits are missing; everything is as it was.
        Error: SQLite cannot open the database.
        OSError: The index cannot be read.
    """
    index = folder / "hub.db-shm"
    left = index.read_bytes() if index.exists() else b""
    before = _parse_index(left)
    if before is None or not before.frame_count:
        return
    after = None
    try:
        # Closed again, one that only reads neither carries the log over nor deletes it.
        with closing(sqlite3.connect(f"{(folder / 'hub.db').as_uri()}?mode=ro", uri=True)) as reader:
            reader.execute("PRAGMA user_version").fetchone()
    finally:
        after = _parse_index(index.read_bytes())
        if after is None or _is_less(after, before):
            _put_back(index, left)  # The next one who opens it must find out, too.
    if after is not None and _is_less(after, before):
        raise Corrupt(
            f"{folder / 'hub.db-wal'} is damaged: {after.frame_count} of {before.frame_count} committed frames can be "
            "read; nothing was changed. Restore the folder from a backup. "
            f"(To go on without the others, delete {index.name}.)"
        )


def _put_back(index: Path, content: bytes) -> None:
    """Write over the index, never shorter: a process that has it mapped and finds its pages gone is killed."""
    with index.open("r+b") as file:
        file.write(content)


def _is_less(after: _Log, before: _Log) -> bool:
    return after.frame_count < before.frame_count and after.salt in {before.salt, _NO_SALT}


def _create_file(path: Path) -> None:
    """Create an empty database; SQLite gives its other files the mode of this one.

    Never open one that is there: to close any handle of a file drops all POSIX locks that this process has on it, also
    those of its SQLite connections. Another process could then delete the log under them.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(folder: Path) -> None:
    """Make the names in a folder durable: a database that lost its name is lost."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _check(folder: Path) -> None:
    if folder.stat().st_mode & stat.S_IWOTH:
        raise Misuse(f"Everybody may write to {folder}, and so into any history: run `chmod 700 {folder}` first.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Misuse(f"{folder} must be readable and writable by this user: check its owner, its mode and the mount.")
    file_system = find_file_system(folder, _MOUNTS)
    if file_system in _SHARED_FILE_SYSTEMS:
        raise Misuse(
            f"{folder} is on a {file_system} file system, which other machines can reach: SQLite would be damaged. "
            "Use a folder on a local disk, or a hub made for several machines."
        )


def find_file_system(folder: Path, mounts: Path) -> str | None:
    """Find the type of the file system that a folder is on.

    Args:
        folder: A real path.
        mounts: The kernel's list of what is mounted.

    Returns:
        The kernel's name of it, or None where that is not to be found out: anywhere but on Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    found, length = None, -1
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        mount = Path(_unescape(before.split(" ")[4]))
        # The last of several mounts on one place lies on top.
        if folder.is_relative_to(mount) and len(mount.parts) >= length:
            found, length = after.split(" ")[0], len(mount.parts)
    return found


def _unescape(field: str) -> str:
    """Undo what the kernel does to blanks, tabs, line ends and backslashes in a path."""
    for code in ("040", "011", "012", "134"):
        field = field.replace(f"\\{code}", chr(int(code, 8)))
    return field
