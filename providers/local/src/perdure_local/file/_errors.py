"""The one table of what the operating system reports, and what a caller is to do about it."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perdure.spi import Misuse, PerdureError, Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["translated"]

_FULL = "The disk is full: free some space."
_EXHAUSTED = "This process has no memory or no file handles left."
_NOT_ALLOWED = "The folder must be readable and writable by this user: check its owner, its mode and the mount."

_SYSTEM: dict[int | None, tuple[type[PerdureError], str]] = {
    errno.ENOSPC: (Unavailable, _FULL),
    errno.EDQUOT: (Unavailable, _FULL),
    errno.EIO: (Unavailable, "The disk reports an error: look into the system log."),
    errno.EMFILE: (Unavailable, _EXHAUSTED),
    errno.ENFILE: (Unavailable, _EXHAUSTED),
    errno.ENOMEM: (Unavailable, _EXHAUSTED),
    errno.EACCES: (Misuse, _NOT_ALLOWED),
    errno.EPERM: (Misuse, _NOT_ALLOWED),
    errno.EROFS: (Misuse, _NOT_ALLOWED),
    errno.ENOTDIR: (Misuse, "The path must name a folder; a part of it is a file."),
    errno.EEXIST: (Misuse, "The path must name a folder, it is a file."),
    errno.ENAMETOOLONG: (Misuse, "The path is too long for this file system."),
}


@contextmanager
def translated(where: str, *, is_visible: bool = False) -> Generator[None, None, None]:
    """Raise errors of the operating system as ours; those that the table lacks are left alone.

    Args:
        where: What the message shall name.
        is_visible: Others may see the change already, though it may not be durable: any error is then `Unknown`.

    Raises:
        PerdureError: The kind says what to do; the message, how to mend it.
        OSError: Not in the table.
    """
    try:
        yield
    except OSError as error:
        kind, mend = _SYSTEM.get(error.errno, (None, ""))
        if is_visible:
            kind, mend = Unknown, f"It may have happened. {mend}"
        if kind is None:
            raise
        raise kind(f"{where}: {error}: {mend}") from error
