"""Large values, one file each.

    payloads/{2 hex digits}/{SHA-256 of key and name}

A hash, because keys and names may hold anything, may be longer than a file name, and `A` and `a` are two of them on
every file system. Which names a key has is in the table `payloads`: a row is there before its file and is deleted after
it, so that no crash leaves a file that nobody can find.

These calls block: they are made on a thread.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from perdure.spi import Corrupt, Misuse, StoredPayload
from perdure_local.sqlite._errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["PayloadFiles"]


class PayloadFiles:
    """The files of one hub."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, payload: StoredPayload, data: bytes, salt: str) -> None:
        """Write a file; it is there as a whole, durably, or not at all.

        Args:
            payload: Its name.
            data: Its content.
            salt: Unlike that of every other call: of the temporary file.

        Raises:
            Misuse: It is there with other bytes.
        """
        with translated(str(self._folder)):
            path = self._path(payload)
            if path.exists():
                _check_same(payload, path, data)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_suffix(f".{salt}")
            try:
                _write_durably(temporary, data)
                # Crash here: the row has no file yet, and a temporary file stays. The same put writes the file.
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)  # There after a failure: each further try would fill the disk more.
            _sync_folder(path.parent)
            _sync_folder(self._folder)

    def read(self, payload: StoredPayload) -> bytes:
        """Read a file.

        Raises:
            Corrupt: It is not there.
        """
        with translated(str(self._folder)):
            path = self._path(payload)
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise Corrupt(
                    f"{payload.key!r}: payload {payload.name!r} is not there, its file would be {path}. "
                    "Restore the folder from a backup."
                ) from None

    def delete(self, payloads: Iterable[StoredPayload]) -> None:
        """Delete files; those that are not there are passed over."""
        with translated(str(self._folder)):
            for payload in payloads:
                self._path(payload).unlink(missing_ok=True)

    def _path(self, payload: StoredPayload) -> Path:
        with translated():
            name = hashlib.sha256(f"{len(payload.key)} {payload.key}{payload.name}".encode()).hexdigest()
        return self._folder / name[:2] / name


def _check_same(payload: StoredPayload, path: Path, data: bytes) -> None:
    if path.stat().st_size != len(data) or path.read_bytes() != data:
        raise Misuse(f"{payload.key!r}: payload {payload.name!r} is there with other bytes: give each its own name.")


def _write_durably(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
