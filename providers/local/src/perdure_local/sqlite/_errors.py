"""The one table of what SQLite and the operating system report, and what a caller is to do about it."""

from __future__ import annotations

import errno
import sqlite3

from perdure.spi import Corrupt, Misuse, PerdureError, Unavailable, Unknown

__all__ = ["is_busy", "translate", "translated"]

_FULL = "The disk is full, nothing was written: free some space."
_DAMAGED = (
    "The database is damaged or is no SQLite database, or the disk cannot read it (look into the system log); nothing "
    "was changed. Restore the folder from a backup."
)
_NOT_ALLOWED = "The folder must be readable and writable by this user: check its owner, its mode and the mount."
_BUSY = "Another program holds the database: close it. (Perdure's own processes wait for each other.)"
_INPUT_OUTPUT = "The disk reports an error, or has no room: look into the system log, or free some space."
_EXHAUSTED = "This process has no memory or no file handles left."

_SQLITE: dict[int, tuple[type[PerdureError], str]] = {
    sqlite3.SQLITE_BUSY: (Unavailable, _BUSY),
    sqlite3.SQLITE_LOCKED: (Unavailable, _BUSY),
    sqlite3.SQLITE_PROTOCOL: (Unavailable, _BUSY),
    sqlite3.SQLITE_FULL: (Unavailable, _FULL),
    sqlite3.SQLITE_IOERR: (Unavailable, _INPUT_OUTPUT),
    sqlite3.SQLITE_NOMEM: (Unavailable, _EXHAUSTED),
    sqlite3.SQLITE_CANTOPEN: (Unavailable, "The database cannot be opened: is the folder gone, are file handles left?"),
    sqlite3.SQLITE_CORRUPT: (Corrupt, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (Corrupt, _DAMAGED),
    sqlite3.SQLITE_READONLY: (Misuse, _NOT_ALLOWED),
    sqlite3.SQLITE_PERM: (Misuse, _NOT_ALLOWED),
    sqlite3.SQLITE_TOOBIG: (Misuse, "The value is larger than SQLite can hold."),
}
_SYSTEM: dict[int | None, tuple[type[PerdureError], str]] = {
    errno.ENOSPC: (Unavailable, _FULL),
    errno.EDQUOT: (Unavailable, _FULL),
    errno.EIO: (Unavailable, _INPUT_OUTPUT),
    errno.EMFILE: (Unavailable, _EXHAUSTED),
    errno.ENFILE: (Unavailable, _EXHAUSTED),
    errno.EACCES: (Misuse, _NOT_ALLOWED),
    errno.EPERM: (Misuse, _NOT_ALLOWED),
    errno.EROFS: (Misuse, _NOT_ALLOWED),
    errno.ENOENT: (Unavailable, "A part of the hub's folder is gone: put it back."),
    errno.ENOTDIR: (Misuse, "The path must name a folder; a part of it is a file."),
    errno.EEXIST: (Misuse, "The path must name a folder, it is a file."),
    errno.ENAMETOOLONG: (Misuse, "The path is too long for this file system."),
}


def is_busy(error: BaseException) -> bool:
    """Tell whether another program holds the database, so that trying each change alone would only wait again."""
    return isinstance(error, sqlite3.Error) and _code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translate(error: Exception, *, where: str = "", committing: bool = False) -> Exception:
    """Find the error that tells the caller what to do next.

    Args:
        error: What was raised.
        where: What it is about.
        committing: COMMIT raised it.

    Returns:
        One of ours with `error` as its cause, or `error` itself where the table does not have it.
    """
    kind: type[PerdureError]
    if isinstance(error, UnicodeEncodeError):
        kind, mend = Misuse, "Text with lone surrogates cannot be stored: remove them."
    elif isinstance(error, UnicodeDecodeError) or _is_damage(error):
        kind, mend = Corrupt, _DAMAGED
    elif isinstance(error, sqlite3.Error) and _code(error) in _SQLITE:
        kind, mend = _SQLITE[_code(error)]
        if committing and _code(error) == sqlite3.SQLITE_IOERR:
            # The commit mark may be in the file though syncing it failed: a crash now would bring it to life.
            kind = Unknown
    elif isinstance(error, OSError) and error.errno in _SYSTEM:
        kind, mend = _SYSTEM[error.errno]
    else:
        return error
    ours = kind(f"{where}: {error}: {mend}" if where else f"{error}: {mend}")
    ours.__cause__ = error
    return ours


def translated(where: str = "") -> _Translated:
    """Raise errors of SQLite and of the operating system as ours; those that the table lacks are left alone.

    Args:
        where: What the message shall name.

    Raises:
        PerdureError: The kind says what to do; the message, how to mend it.
        Error: Not in the table.
        OSError: Not in the table.
        UnicodeError: Never.
    """
    return _Translated(where)


class _Translated:
    """A class, for each read passes here."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (sqlite3.Error, OSError, UnicodeError)):
            ours = translate(error, where=self._where)
            if ours is not error:
                raise ours from error


def _is_damage(error: Exception) -> bool:
    """Tell damage that has no code of its own: text that is no text, and tables or columns that have another name."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return not hasattr(error, "sqlite_errorcode") or str(error).startswith("no such ")


def _code(error: sqlite3.Error) -> int:
    """Find the primary result code; errors of the Python module itself have none."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF
