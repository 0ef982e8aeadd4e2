"""Histories inside the database: what an append and a purge do in a write transaction, and how they are read.

The decisions are made in Python on rows that were read together; what they decided is written together, at the end.
"""

# ruff: noqa: S608 - statements are put together from constants of this module

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Corrupt,
    Head,
    Key,
    Missing,
    NotModified,
    Purged,
    Record,
    Summary,
    Token,
    Tombstone,
)
from perdure_local.sqlite._statements import for_each_in, insert_rows, largest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

__all__ = ["HistoryChanges", "read_history", "read_summaries", "read_token_of_open", "read_tokens"]

_COLUMNS = "id, key, version, first, last, turn_id, incarnation, holder, summary"
_UPDATE = (
    "ON CONFLICT (id) DO UPDATE SET version = excluded.version, first = excluded.first, last = excluded.last, "
    "turn_id = excluded.turn_id, incarnation = excluded.incarnation, holder = excluded.holder, "
    "summary = excluded.summary"
)
# Positions only fall on the way back: a damaged row cannot send the walk in circles.
_CHAIN = (
    "WITH RECURSIVE chain (pos, prev, version) AS (SELECT pos, prev, version FROM log WHERE pos = :last UNION ALL "
    "SELECT log.pos, log.prev, log.version FROM chain JOIN log ON log.pos = chain.prev AND log.pos < chain.pos "
    "WHERE chain.version > :after)"
)

_encode_summary = msgspec.msgpack.Encoder().encode
_decode_summary = msgspec.msgpack.Decoder(Summary).decode


@dataclass(slots=True)
class Instance:
    """A row of `instances`, as far as this transaction got."""

    id: int
    key: str
    version: int
    first: int
    last: int
    turn_id: str
    incarnation: str
    holder: int
    summary: bytes | None

    @property
    def token(self) -> Token:
        """Versions are never used twice; the turn id tells a folder that was put back from a backup."""
        return Token(f"{self.version}-{self.turn_id}")


class HistoryChanges:
    """The histories of one write transaction."""

    def __init__(self, connection: sqlite3.Connection, holder: int) -> None:
        """Begin with nothing read and nothing to write.

        Args:
            connection: In a write transaction.
            holder: Who runs the turns that are appended here.
        """
        self.changed_keys: set[Key] = set()
        self.ended_keys: set[Key] = set()
        self._connection = connection
        self._holder = holder
        self._known: dict[str, Instance | None] = {}
        self._changed: dict[int, Instance] = {}
        self._records: list[tuple[object, ...]] = []
        self._next_pos = 0
        self._next_instance = 0

    def load(self, keys: Iterable[Key]) -> None:
        """Read the rows of these keys together."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        self._known.update(dict.fromkeys(missing))
        for row in for_each_in(self._connection, f"SELECT {_COLUMNS} FROM instances WHERE key IN", missing):
            self._known[row[1]] = Instance(*row)

    def append(self, append: Append, *, held: bool = False) -> Committed | Conflict:
        """Add a record if the history is at the expected version; on a tombstone only a create may (H6).

        Args:
            append: Checked against the limits already.
            held: A worker ran this turn; later messages of the group prefer this process.

        Returns:
            As `HistoryStore.append`.
        """
        instance = self._find(append.key)
        version = instance.version if instance else 0
        if append.create and instance is not None and instance.incarnation == append.summary.incarnation:
            return Committed(instance.first)
        if not append.create and (instance is None or instance.summary is None):
            return Conflict(version)
        if version != append.expected:
            return Conflict(version) if instance is None or append.create else self._look_back(append, instance)
        if instance is None:
            instance = self._new_instance(append.key)
        elif append.create and instance.last:
            self._forget_records(instance)
        self._add_record(append, instance, held=held)
        return Committed(append.version)

    def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        """Replace a history by a tombstone; its payloads are the caller's business."""
        instance = self._find(key)
        if instance is None:
            return Missing()
        if instance.summary is None and instance.version == expected + 1:
            return Purged(instance.version)
        if instance.summary is None or instance.version != expected:
            return Conflict(instance.version)
        self._forget_records(instance)
        instance.version, instance.turn_id, instance.holder, instance.summary = expected + 1, "", 0, None
        self._note(instance)
        self.ended_keys.add(key)
        return Purged(instance.version)

    def write(self) -> int:
        """Write what was decided so far.

        Returns:
            How many rows.
        """
        rows = len(self._records) + len(self._changed)
        insert_rows(self._connection, "log (pos, instance, prev, version, turn_id, crc, data)", self._records)
        changed = [
            (i.id, i.key, i.version, i.first, i.last, i.turn_id, i.incarnation, i.holder, i.summary)
            for i in self._changed.values()
        ]
        insert_rows(self._connection, f"instances ({_COLUMNS})", changed, on_conflict=_UPDATE)
        self._records.clear()
        self._changed.clear()
        return rows

    def _find(self, key: Key) -> Instance | None:
        if key not in self._known:
            self.load((key,))
        return self._known[key]

    def _look_back(self, append: Append, instance: Instance) -> Conflict | Committed:
        """Tell an append that happened already, whose answer was lost, from one that came too late (H4)."""
        self.write()
        first_after = self._connection.execute(
            f"{_CHAIN} SELECT version, turn_id FROM log JOIN chain USING (pos, version) WHERE version > :after "
            "ORDER BY pos LIMIT 1",
            {"last": instance.last, "after": append.expected},
        ).fetchone()
        if first_after is not None and first_after[1] == append.turn_id:
            return Committed(first_after[0])
        return Conflict(instance.version)

    def _new_instance(self, key: Key) -> Instance:
        self._next_instance = (self._next_instance or largest(self._connection, "instances", "id")) + 1
        instance = Instance(self._next_instance, key, 0, 0, 0, "", "", 0, None)
        self._known[key] = instance
        return instance

    def _add_record(self, append: Append, instance: Instance, *, held: bool) -> None:
        self._next_pos = (self._next_pos or largest(self._connection, "log", "pos")) + 1
        crc = _checksum(instance.version if instance.last else 0, append.version, append.turn_id, append.record)
        self._records.append(
            (self._next_pos, instance.id, instance.last, append.version, append.turn_id, crc, append.record)
        )
        if not instance.last:
            instance.first = append.version
        if held:
            instance.holder = self._holder
        instance.version, instance.last, instance.turn_id = append.version, self._next_pos, append.turn_id
        instance.incarnation, instance.summary = append.summary.incarnation, _sealed(append.summary)
        self._note(instance)
        if append.summary.is_closed:
            self.ended_keys.add(append.key)

    def _forget_records(self, instance: Instance) -> None:
        self.write()
        where = {"last": instance.last, "after": 0}
        self._connection.execute(f"{_CHAIN} DELETE FROM log WHERE pos IN (SELECT pos FROM chain)", where)
        instance.last = 0

    def _note(self, instance: Instance) -> None:
        self._changed[instance.id] = instance
        self.changed_keys.add(Key(instance.key))


def read_history(
    connection: sqlite3.Connection, key: Key, after: int, known: Token | None, server_time: float
) -> Head | Tombstone | Missing | NotModified:
    """Read one history. Outside of a transaction, one that is purged meanwhile looks as if it were damaged.

    Raises:
        Corrupt: A record is missing or damaged.
    """
    instance = _read_instance(connection, key)
    if instance is None:
        return Missing()
    if instance.summary is None:
        return Tombstone(instance.version, instance.incarnation)
    if instance.token == known:
        return NotModified()
    records = _read_records(connection, instance, after) if after < instance.version else ()
    summary = _summary_of(key, instance.summary)
    return Head(key, instance.version, instance.token, records, summary, server_time)


def read_summaries(connection: sqlite3.Connection, start: str, count: int, *, inclusive: bool) -> list[Summary | str]:
    """Read the next instances of a scan, in the order of their keys.

    Args:
        connection: Any.
        start: Key to begin at.
        count: How many rows to look at.
        inclusive: Whether `start` itself is among them.

    Returns:
        Summaries, or the key alone of a tombstone; fewer than `count` at the end.

    Raises:
        Corrupt: A summary is damaged.
    """
    rows = connection.execute(
        f"SELECT key, summary FROM instances WHERE key {'>=' if inclusive else '>'} ? ORDER BY key LIMIT ?",
        (start, count),
    )
    return [key if summary is None else _summary_of(key, summary) for key, summary in rows.fetchall()]


def read_tokens(connection: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, Token | None]:
    """Read the tokens of several keys; None where there is no instance."""
    found: dict[Key, Token | None] = dict.fromkeys(keys)
    for row in for_each_in(connection, f"SELECT {_COLUMNS} FROM instances WHERE key IN", list(found)):
        instance = Instance(*row)
        found[Key(instance.key)] = None if instance.summary is None else instance.token
    return found


def read_token_of_open(connection: sqlite3.Connection, key: Key) -> Token | None:
    """Read the token of an instance that has not ended; None where there is none, or it has."""
    instance = _read_instance(connection, key)
    if instance is None or instance.summary is None or _summary_of(key, instance.summary).is_closed:
        return None
    return instance.token


def _read_instance(connection: sqlite3.Connection, key: Key) -> Instance | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM instances WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    instance = Instance(*row)
    if not all(isinstance(number, int) for number in (instance.version, instance.first, instance.last)):
        raise Corrupt(f"{key!r}: its row in `instances` is damaged. Restore the folder from a backup.")
    return instance


def _read_records(connection: sqlite3.Connection, instance: Instance, after: int) -> tuple[Record, ...]:
    """Walk back to the first record, or to the newest one that the caller has: to see that none is missing between."""
    rows = connection.execute(
        # Casts: a damaged value may have another type than its column.
        f"{_CHAIN} SELECT CAST(version AS INTEGER), turn_id, crc, instance, "
        "CAST(iif(version > :after, data, NULL) AS BLOB) FROM chain JOIN log USING (pos, version) ORDER BY pos",
        {"last": instance.last, "after": after},
    ).fetchall()
    ends = bool(rows) and rows[-1][:2] == (instance.version, instance.turn_id)
    complete = ends and rows[0][0] <= max(instance.first, after)
    if not complete or any(row[3] != instance.id for row in rows):
        raise Corrupt(f"{instance.key}: records are missing from the log. Restore the folder from a backup.")
    previous = 0
    for version, turn_id, crc, _, data in rows:
        if data is not None and crc != _checksum(previous, version, turn_id, data):
            raise Corrupt(f"{instance.key}: record {version} is damaged. Restore the folder from a backup.")
        previous = version
    return tuple(Record(row[0], row[1], row[4]) for row in rows if row[4] is not None)


def _sealed(summary: Summary) -> bytes:
    """Encode a summary with a checksum in front; its key is inside, so no row can pass for another one."""
    data = _encode_summary(summary)
    return zlib.crc32(data).to_bytes(4, "big") + data


def _summary_of(key: str, sealed: object) -> Summary:
    if not isinstance(sealed, bytes) or zlib.crc32(sealed[4:]) != int.from_bytes(sealed[:4], "big"):
        raise Corrupt(f"{key!r}: its summary is damaged. Restore the folder from a backup.")
    try:
        summary = _decode_summary(sealed[4:])
    except msgspec.DecodeError as error:  # An empty one has the checksum of nothing.
        raise Corrupt(f"{key!r}: its summary is damaged ({error}). Restore the folder from a backup.") from error
    if summary.key != key:
        raise Corrupt(f"{key!r}: its summary is that of {summary.key!r}. Restore the folder from a backup.")
    return summary


def _checksum(previous: int, version: int, turn_id: str, data: bytes) -> int:
    """Seal a record and its place: the one before it is part of it, so that none can be left out between them."""
    return zlib.crc32(data, zlib.crc32(f"{previous} {version} {turn_id}".encode()))
