"""MemoryStore: histories in a dict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.memory._histories import check_append
from perdure.memory._hub import Connection
from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Corrupt,
    Head,
    HistoryStore,
    Key,
    Missing,
    Misuse,
    NotModified,
    PayloadScope,
    Purged,
    Query,
    StoreCapabilities,
    StoredPayload,
    Summary,
    Token,
    Tombstone,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.memory._histories import Histories
    from perdure.spi import Environment, Location

__all__ = ["MemoryStore"]


class MemoryStore(HistoryStore):
    """The histories of a `memory:` hub. Durable as long as somebody has the hub open."""

    capabilities = StoreCapabilities(
        record_bytes_max=16 * 2**20,
        inline_bytes_max=256 * 2**10,
        payload_bytes_max=100 * 2**20,
        scan_lag_seconds=0,
        notifies=True,
        server_time=True,
    )

    def __init__(self, location: Location, environment: Environment) -> None:
        self._connection = Connection(location, environment.clock)
        self._clock = environment.clock

    @property
    def histories(self) -> Histories:
        """Give what this store is a door to."""
        return self._connection.hub.histories

    async def open(self) -> None:
        self._connection.open()

    async def aclose(self) -> None:
        self._connection.close()

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        return self.histories.read(key, after, known)

    async def append(self, append: Append) -> Committed | Conflict:
        check_append(append, self.capabilities)
        return self.histories.append(append)

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        return self.histories.purge(key, expected)

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        for summary in self.histories.scan(query):
            yield summary

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        with self.histories.changes.change_of(key) as change:
            if self.histories.token_of(key) != known:
                return True
            await self._clock.wait(change, wait_seconds)
            return self.histories.token_of(key) != known

    async def ended(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        del known
        with self.histories.ends.change_of(key) as end:
            if self.histories.is_open(key):
                await self._clock.wait(end, wait_seconds)
            return not self.histories.is_open(key)

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        most = self.capabilities.payload_bytes_max
        if len(data) > most:
            raise Misuse(
                f"{payload.key!r}: payload {payload.name!r} has {len(data)} bytes, at most payload_bytes_max={most} go."
            )
        stored = self.histories.payloads.setdefault(payload.key, {})
        if stored.setdefault(payload.name, bytes(data)) != data:
            raise Misuse(
                f"{payload.key!r}: payload {payload.name!r} is there with other bytes: give each its own name."
            )

    async def get_payload(self, payload: StoredPayload) -> bytes:
        try:
            return self.histories.payloads[payload.key][payload.name]
        except KeyError:
            raise Corrupt(f"{payload.key!r}: payload {payload.name!r} is not there.") from None

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        for name in sorted(self.histories.payloads.get(scope.key, {})):
            if name.startswith(scope.prefix):
                yield StoredPayload(key=scope.key, name=name)

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        for payload in payloads:
            self.histories.payloads.get(payload.key, {}).pop(payload.name, None)
