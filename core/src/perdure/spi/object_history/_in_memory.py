"""MemoryObjects: the model of `ConditionalObjects`, for tests of what is built on it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from perdure.errors import Misuse
from perdure.spi.objects import (
    Absent,
    ConditionalObjects,
    Etag,
    Found,
    ObjectsCapabilities,
    PreconditionFailed,
    Unchanged,
    check_object_name,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["MemoryObjects"]


class MemoryObjects(ConditionalObjects):
    """Objects in a dict; etags are hashes of the content, as those of S3 are.

    Args:
        objects: The dict. Several clients that share one reach the same objects.
    """

    capabilities = ObjectsCapabilities(object_bytes_max=256 * 2**20, server_time=False)

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects

    async def get(self, name: str, known_etag: Etag | None = None) -> Found | Absent | Unchanged:
        """As `ConditionalObjects.get`."""
        data = self._objects.get(check_object_name(name))
        if data is None:
            return Absent()
        etag = _etag(data)
        return Unchanged() if etag == known_etag else Found(data, etag)

    async def put(
        self, name: str, data: bytes, *, if_absent: bool = False, if_match: Etag | None = None
    ) -> Etag | PreconditionFailed:
        """As `ConditionalObjects.put`."""
        there = self._objects.get(check_object_name(name))
        most = self.capabilities.object_bytes_max
        if len(data) > most:
            raise Misuse(f"{name}: an object has at most object_bytes_max={most} bytes, this one has {len(data)}.")
        if if_absent and there is not None:
            return PreconditionFailed()
        if if_match is not None and (there is None or _etag(there) != if_match):
            return PreconditionFailed()
        self._objects[name] = bytes(data)
        return _etag(data)

    async def delete(self, names: Sequence[str]) -> None:
        """As `ConditionalObjects.delete`."""
        for name in names:
            self._objects.pop(check_object_name(name), None)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[str]:
        """As `ConditionalObjects.list`."""
        for name in sorted(self._objects):
            if name.startswith(prefix) and name > after and name in self._objects:
                yield name


def _etag(data: bytes) -> Etag:
    return Etag(hashlib.sha256(data).hexdigest()[:32])
