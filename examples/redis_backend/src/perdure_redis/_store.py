"""RedisStore: a history is a stream, its records are entries whose ids are the versions.

{hub}:history:KEY    stream   version-0 → turn, data     a tombstone is an entry too: it wakes who waits
{hub}:head:KEY       hash     version, incarnation, created, purged
{hub}:payloads:KEY   hash     name → bytes
{hub}:summaries      hash     key → summary
{hub}:index          zset     keys that are instances, in the order of bytes, which is that of code points
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
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
    Record,
    StoreCapabilities,
    StoredPayload,
    Summary,
    Token,
    Tombstone,
    Unknown,
)

from perdure_redis._connection import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi import Environment, Location

__all__ = ["RedisStore"]

PAGE = 100

READ = """
local stream, head, summaries = unpack(KEYS)
local key, after, known = unpack(ARGV)
local fields = redis.call('HMGET', head, 'version', 'incarnation', 'created', 'purged')
local version, incarnation, created, purged = unpack(fields)
if not version then return {'missing'} end
if purged then return {'purged', version, incarnation} end
if known == version .. '/' .. incarnation then return {'same'} end
local records = redis.call('XRANGE', stream, '(' .. after, '+')
return {'head', version, incarnation, created, redis.call('HGET', summaries, key), redis.call('TIME'), records}
"""

APPEND = """
local stream, head, summaries, index = unpack(KEYS)
local key, expected, version, turn, data, incarnation, create, summary = unpack(ARGV)
create = create == '1'
local fields = redis.call('HMGET', head, 'version', 'incarnation', 'created', 'purged')
local at, of, created, purged = fields[1] or '0', fields[2], fields[3], fields[4]
if create and of == incarnation then return {'committed', created} end
if not create and not purged then
  local mine = redis.call('XRANGE', stream, version, version)[1]
  if mine and mine[2][2] == turn then return {'committed', version} end
end
if at ~= expected or not (create or (of and not purged)) then return {'conflict', at} end
redis.call('XADD', stream, version .. '-0', 'turn', turn, 'data', data)
if create then
  redis.call('XTRIM', stream, 'MAXLEN', 1)
  redis.call('HDEL', head, 'purged')
  redis.call('HSET', head, 'incarnation', incarnation, 'created', version)
end
redis.call('HSET', head, 'version', version)
redis.call('HSET', summaries, key, summary)
redis.call('ZADD', index, 0, key)
return {'committed', version}
"""

PURGE = """
local stream, head, summaries, index, payloads = unpack(KEYS)
local key, expected, tombstone = unpack(ARGV)
local at, purged = unpack(redis.call('HMGET', head, 'version', 'purged'))
if not at then return {'missing'} end
if purged == expected then return {'purged', at} end
if purged or at ~= expected then return {'conflict', at} end
redis.call('XADD', stream, tombstone .. '-0', 'purged', '')
redis.call('XTRIM', stream, 'MAXLEN', 1)
redis.call('HSET', head, 'version', tombstone, 'purged', expected)
redis.call('HDEL', summaries, key)
redis.call('ZREM', index, key)
redis.call('DEL', payloads)
return {'purged', tombstone}
"""

SCAN = """
local keys = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
if #keys == 0 then return {} end
return redis.call('HMGET', KEYS[2], unpack(keys))
"""

PUT_PAYLOAD = """
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then return 1 end
return redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and 1 or 0
"""


class RedisStore(HistoryStore):
    """Histories of `redis://HOST:PORT/DATABASE?hub=NAME`."""

    capabilities = StoreCapabilities(
        record_bytes_max=2**20,
        inline_bytes_max=64 * 2**10,
        payload_bytes_max=16 * 2**20,
        scan_lag_seconds=0,
        notifies=True,
        server_time=True,
    )

    def __init__(self, location: Location, environment: Environment) -> None:
        self._connection = Connection(location, environment)
        self._redis = self._connection.redis
        self._read, self._append, self._purge, self._scan, self._put_payload = (
            self._redis.register_script(script) for script in (READ, APPEND, PURGE, SCAN, PUT_PAYLOAD)
        )

    async def open(self) -> None:
        await self._connection.open()

    async def aclose(self) -> None:
        await self._connection.aclose()

    def _names(self, key: Key) -> list[str]:
        name = self._connection.name
        return [name("history", key), name("head", key), name("summaries"), name("index"), name("payloads", key)]

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        async with self._connection.asking():
            answer = await self._read(keys=self._names(key)[:3], args=[key, after, known or ""])
        match answer:
            case [b"missing"]:
                return Missing()
            case [b"same"]:
                return NotModified()
            case [b"purged", version, incarnation]:
                return Tombstone(version=int(version), incarnation=incarnation.decode())
            case _:
                return _head(key, after, answer)

    async def append(self, append: Append) -> Committed | Conflict:
        self._check(append)
        summary = append.summary
        arguments: list[Any] = [append.key, append.expected, append.version, append.turn_id, append.record]
        arguments += [summary.incarnation, int(append.create), msgspec.msgpack.encode(summary)]
        async with self._connection.asking(no_answer=Unknown):
            verdict, version = await self._append(keys=self._names(append.key)[:4], args=arguments)
        return Committed(version=int(version)) if verdict == b"committed" else Conflict(version=int(version))

    def _check(self, append: Append) -> None:
        """Refuse what could never be right, before any effect (H10)."""
        size, most = len(append.record), self.capabilities.record_bytes_max
        if size > most:
            raise Misuse(f"{append.key!r}: a record has at most record_bytes_max={most} bytes, this one has {size}.")
        if append.version <= append.expected or (not append.create and append.version != append.expected + 1):
            raise Misuse(f"{append.key!r}: version {append.version} does not follow the expected {append.expected}.")
        if append.summary.key != append.key:
            raise Misuse(f"{append.key!r}: the summary is of another instance, {append.summary.key!r}.")

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        async with self._connection.asking():  # Purged twice is purged once: the same call again does no harm.
            verdict, *version = await self._purge(keys=self._names(key), args=[key, expected, expected + 1])
        if verdict == b"missing":
            return Missing()
        return (Purged if verdict == b"purged" else Conflict)(version=int(version[0]))

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        prefix = query.id_prefix.encode()
        begin, yielded = b"[" + prefix, 0
        while page := await self._page(begin, b"(" + prefix + b"\xff"):  # No UTF-8 text has a byte 255.
            for summary in page:
                if query.matches(summary):
                    yield summary
                    yielded += 1
                    if yielded == query.limit:
                        return
            begin = b"(" + page[-1].key.encode()

    async def _page(self, begin: bytes, end: bytes) -> list[Summary]:
        names = [self._connection.name("index"), self._connection.name("summaries")]
        async with self._connection.asking():
            found = await self._scan(keys=names, args=[begin, end, PAGE])
        return [msgspec.msgpack.decode(summary, type=Summary) for summary in found]

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        stream, head, *_ = self._names(key)
        async with self._connection.asking():
            version, incarnation, purged = await self._redis.hmget(head, "version", "incarnation", "purged")
            now = None if version is None or purged is not None else _token(version, incarnation)
        # What comes between look and wait is not missed: the stream is read from the version that was seen.
        return now != known or await self._connection.wait_for_entry(stream, (version or b"0").decode(), wait_seconds)

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        size, most = len(data), self.capabilities.payload_bytes_max
        if size > most:
            raise Misuse(f"{payload.key!r}: a payload has at most payload_bytes_max={most} bytes, this one has {size}.")
        async with self._connection.asking():
            stored = await self._put_payload(keys=[self._names(payload.key)[4]], args=[payload.name, data])
        if not stored:
            raise Misuse(f"{payload.key!r}: payload {payload.name!r} is there with other bytes.")

    async def get_payload(self, payload: StoredPayload) -> bytes:
        async with self._connection.asking():
            data: bytes | None = await self._redis.hget(self._names(payload.key)[4], payload.name)
        if data is None:
            raise Corrupt(f"{payload.key!r}: payload {payload.name!r} is not there.")
        return data

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        async with self._connection.asking():
            names = await self._redis.hkeys(self._names(scope.key)[4])
        for name in sorted(name.decode() for name in names):
            if name.startswith(scope.prefix):
                yield StoredPayload(scope.key, name)

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        async with self._connection.asking():
            for payload in payloads:
                await self._redis.hdel(self._names(payload.key)[4], payload.name)


def _token(version: bytes, incarnation: bytes) -> Token:
    return Token(f"{version.decode()}/{incarnation.decode()}")


def _head(key: Key, after: int, answer: list[Any]) -> Head:
    _, version, incarnation, created, summary, (seconds, microseconds), entries = answer
    records = tuple(
        Record(version=int(entry_id.partition(b"-")[0]), turn_id=turn.decode(), data=data)
        for entry_id, (_, turn, _, data) in entries
    )
    if [record.version for record in records] != list(range(max(after + 1, int(created)), int(version) + 1)):
        raise Corrupt(f"{key!r}: not every record from {created.decode()} to {version.decode()} is there.")
    return Head(
        key=key,
        version=int(version),
        token=_token(version, incarnation),
        records=records,
        summary=msgspec.msgpack.decode(summary, type=Summary),
        server_time=int(seconds) + int(microseconds) / 1e6,
    )
