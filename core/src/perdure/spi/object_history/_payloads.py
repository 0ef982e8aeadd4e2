"""Payloads as objects: each with its key and name inside, because a long name is only a hash outside."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from perdure.errors import Corrupt, Misuse, Unknown
from perdure.spi.history import PayloadScope, StoredPayload
from perdure.spi.object_history._container import pack, unpack
from perdure.spi.object_history._names import decode_part, payload_name, payload_prefix
from perdure.spi.objects import Absent, ConditionalObjects, Etag, Found, PreconditionFailed

__all__ = ["Payloads"]

_PUT_ATTEMPTS = 4


class _PayloadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The line of JSON in a payload."""

    key: str
    name: str
    length: int


class Payloads:
    """The payloads of a hub."""

    def __init__(self, objects: ConditionalObjects) -> None:
        self._objects = objects

    async def put(self, payload: StoredPayload, data: bytes) -> None:
        """Store one, or see that it is there with the same bytes."""
        name = payload_name(payload.key, payload.name)
        info = _PayloadInfo(key=payload.key, name=payload.name, length=len(data))
        packed = pack("payload", info, (data,))
        outcome = await self._put(name, packed)
        if isinstance(outcome, PreconditionFailed) and await self.get(payload) != data:
            raise Misuse(
                f"{payload.key!r}: payload {payload.name!r} is there with other bytes: give each its own name."
            )

    async def _put(self, name: str, packed: bytes) -> Etag | PreconditionFailed:
        for _ in range(_PUT_ATTEMPTS - 1):
            # The same bytes again do no harm, whether or not the first ones arrived.
            with suppress(Unknown):
                return await self._objects.put(name, packed, if_absent=True)
        return await self._objects.put(name, packed, if_absent=True)

    async def get(self, payload: StoredPayload) -> bytes:
        """Read one; Corrupt if it is not there or damaged."""
        name = payload_name(payload.key, payload.name)
        found = await self._objects.get(name)
        if not isinstance(found, Found):
            raise Corrupt(f"{payload.key!r}: payload {payload.name!r} is not there ({name}). Restore it from a backup.")
        info, rest = unpack("payload", found.data, _PayloadInfo, name=name)
        if (info.key, info.name) != (payload.key, payload.name) or info.length + 1 != len(rest):
            raise Corrupt(f"{name} is not payload {payload.name!r} of {payload.key!r}. Restore it from a backup.")
        return rest[: info.length]

    async def find(self, scope: PayloadScope) -> list[StoredPayload]:
        """List those of one key, by name."""
        prefix = payload_prefix(scope.key)
        names: list[str] = []
        async for object_name in self._objects.list(prefix):
            name = await self._full_name(object_name)
            if name is not None and name.startswith(scope.prefix):
                names.append(name)
        return [StoredPayload(scope.key, name) for name in sorted(names)]

    async def delete(self, payloads: list[StoredPayload]) -> None:
        """Delete some; those that are not there are passed over."""
        await self._objects.delete([payload_name(payload.key, payload.name) for payload in payloads])

    async def _full_name(self, object_name: str) -> str | None:
        """Read the name from the object's own name; from inside only if it was too long. None: it is gone by now."""
        short = decode_part(object_name.rpartition("/")[2])
        if short is not None:
            return short
        found = await self._objects.get(object_name)
        if isinstance(found, Absent):
            return None
        assert isinstance(found, Found)
        return unpack("payload", found.data, _PayloadInfo, name=object_name)[0].name
