"""FileObjects: each object a file of its name.

    objects/{name}      the content
    new/                files that are being written
    locks/{2 digits}    256 locks; a name's is the one of its hash

A put writes and syncs a new file, and then moves it over the old one under the name's lock. Readers share the lock, so
that nobody acts on what a power failure could still take back. An etag is a hash of the content.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.spi import (
    Absent,
    ConditionalObjects,
    Etag,
    Found,
    Misuse,
    ObjectsCapabilities,
    PreconditionFailed,
    Unchanged,
    check_object_name,
)
from perdure_local.file._errors import translated
from perdure_local.file._folder import locked, prepare_folder, sync_folder, write_file
from perdure_local.file._threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from perdure.spi import Entropy

__all__ = ["FileObjects"]

_DAY_SECONDS = 86_400


class FileObjects(ConditionalObjects):
    """Objects as files of a folder on this machine.

    Args:
        path: The folder; created where there is none.
        entropy: For the names of files that are being written.
    """

    capabilities = ObjectsCapabilities(object_bytes_max=256 * 2**20, server_time=False)

    def __init__(self, path: str, entropy: Entropy) -> None:
        self._path = path
        self._entropy = entropy
        self._threads = Threads(f"file:{path}")
        self._folder = Path()

    async def open(self) -> None:
        self._folder = prepare_folder(self._path, "objects", "new", "locks")
        self._threads.open()
        await self._threads.run(self._remove_leftovers)

    async def aclose(self) -> None:
        self._threads.close()

    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        path = self._path_of(name)
        return await self._threads.run(lambda: self._get(path, known_etag))

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        path, most = self._path_of(name), self.capabilities.object_bytes_max
        if len(data) > most:
            raise Misuse(f"{name}: an object has at most object_bytes_max={most} bytes, this one has {len(data)}.")
        new = self._folder / "new" / self._entropy.random_bytes(12).hex()
        return await self._threads.run(lambda: self._put(path, new, data, if_absent=if_absent, if_match=if_match))

    async def delete(self, names: Sequence[str]) -> None:
        paths = {name: self._path_of(name) for name in names}
        await self._threads.run(lambda: self._delete(paths))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        # All at once: the names of a folder are not sorted, and nothing is locked meanwhile.
        for name in await self._threads.run(lambda: self._list(prefix)):
            if name > after:
                yield name

    # ── on a thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _get(self, path: Path, known_etag: Etag | None) -> Found | Absent | Unchanged:
        with translated(str(path)):
            try:
                with locked(self._lock_of(path), shared=True):
                    data = path.read_bytes()
            except FileNotFoundError:
                return Absent()
        etag = _etag(data)
        return Unchanged() if etag == known_etag else Found(data, etag)

    def _put(
        self, path: Path, new: Path, data: bytes, *, if_absent: bool, if_match: Etag | None
    ) -> Etag | PreconditionFailed:
        try:
            with translated(str(path)):
                write_file(new, data)
                self._make_folders(path.parent)
                # Crash here: nothing happened; the new file is removed by whoever opens the hub a day later.
                with locked(self._lock_of(path)):
                    if not _holds(path, if_absent=if_absent, if_match=if_match):
                        return PreconditionFailed()
                    new.replace(path)
                    # Crash here: the change is there for other processes, and after a power failure it may not be.
                    with translated(str(path), is_visible=True):
                        sync_folder(path.parent)
            return _etag(data)
        finally:
            with suppress(FileNotFoundError):
                new.unlink()

    def _delete(self, paths: dict[str, Path]) -> None:
        for path in paths.values():
            with translated(str(path)), locked(self._lock_of(path)), suppress(FileNotFoundError):
                path.unlink()
                sync_folder(path.parent)

    def _list(self, prefix: str) -> Sequence[str]:
        root = self._folder / "objects"
        start = root / prefix.rpartition("/")[0]
        with translated(str(start)):
            return sorted(name for name in _walk(start, root) if name.startswith(prefix))

    def _make_folders(self, folder: Path) -> None:
        """Create the folders above an object, each durable before the next."""
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_folder(folder.parent)

    def _remove_leftovers(self) -> None:
        """Remove what writers that died left behind, when it is too old to be still in use."""
        with translated(str(self._folder)):
            for file in (self._folder / "new").iterdir():
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime < time.time() - _DAY_SECONDS:
                        file.unlink()

    def _path_of(self, name: str) -> Path:
        return self._folder / "objects" / check_object_name(name)

    def _lock_of(self, path: Path) -> Path:
        return self._folder / "locks" / hashlib.sha256(os.fsencode(path.relative_to(self._folder))).hexdigest()[:2]


def _holds(path: Path, *, if_absent: bool, if_match: Etag | None) -> bool:
    if if_absent:
        return not path.exists()
    if if_match is None:
        return True
    try:
        return _etag(path.read_bytes()) == if_match
    except FileNotFoundError:
        return False


def _walk(folder: Path, root: Path) -> Iterator[str]:
    for above, _, files in os.walk(folder, onerror=_raise_unless_gone):
        for file in files:
            yield Path(above, file).relative_to(root).as_posix()


def _raise_unless_gone(error: OSError) -> None:
    """Pass over what is not there, and an object, which nothing is below; what cannot be read is never passed over."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _etag(data: bytes) -> Etag:
    return Etag(hashlib.sha256(data).hexdigest()[:32])
