"""The folder of a hub: which ones are fit, and what lies in it.

hub.db, hub.db-wal, hub.db-shm     the database
gate.lock, room.lock               the lock between processes
payloads/                          large values, one file each
wake/                              one socket per process that waits for something
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from perdure.spi import Misuse

__all__ = ["find_file_system", "prepare_folder"]

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
    """
    if not path or "\0" in path:
        raise Misuse(f"sqlite:{path!r} names no folder: write for example sqlite:.perdure.")
    folder = Path(os.path.realpath(path))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(folder)
    for name in ("payloads", "wake"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    _create_file(folder / "hub.db")
    _sync(folder)
    return folder


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
