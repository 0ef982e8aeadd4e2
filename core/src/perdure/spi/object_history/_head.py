"""The head of a history: what one conditional write replaces, and what it decides. Pure: no I/O here.

    nothing ──created──▶ live ──appended──▶ live ──buried──▶ tombstone ──created──▶ live …
                          └──────created (another incarnation takes the place)──────▶ live

A head holds the newest records itself (its *tail*). When a record would make the tail longer than 64 KiB, what is there
is sealed into a chunk first, and the new tail begins with that record. `recent` remembers who wrote the last 64
versions, also those of earlier incarnations: whoever lost the answer to a write finds it there (R4).

No two heads of one instance are ever the same bytes: the version grows with each write, and two rivals for one version
differ in `write_id`. So a service whose etags are hashes of the content never gives one twice.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from perdure.errors import Corrupt
from perdure.spi.history import Committed, Conflict, Record, Summary
from perdure.spi.object_history._container import pack, unpack
from perdure.spi.object_history._names import chunk_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.spi.history import Append

__all__ = [
    "RECENT_COUNT",
    "TAIL_BYTES_MAX",
    "Chunk",
    "ChunkRef",
    "Head",
    "Life",
    "Verdict",
    "add",
    "bury",
    "decode_chunk",
    "decode_head",
    "encode_head",
    "judge",
]

TAIL_BYTES_MAX = 64 * 2**10
RECENT_COUNT = 64
LIVES_COUNT = 64


class Life(msgspec.Struct, frozen=True, array_like=True):
    """One incarnation that this id has had, and the version of its first record."""

    incarnation: str
    first: int


class ChunkRef(msgspec.Struct, frozen=True, array_like=True):
    """A sealed chunk and the versions of its first and last record."""

    name: str
    first: int
    last: int


class Chunk(msgspec.Struct, frozen=True):
    """A chunk to write before the head that refers to it."""

    name: str
    data: bytes


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    version: int
    turn_id: str


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    version: int
    turn_id: str
    length: int


class _HeadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The line of JSON in a head. Fields may be added with a default; none may change its meaning."""

    key: str
    version: int
    write_id: str
    lives: tuple[Life, ...]
    recent: tuple[_Mark, ...]
    summary: Summary | None = None
    purged: int = 0
    chunks: tuple[ChunkRef, ...] = ()
    tail: tuple[_Stored, ...] = ()


class _ChunkInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The line of JSON in a chunk."""

    key: str
    records: tuple[_Stored, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a history, or its tombstone.

    Attributes:
        key: Instance id.
        version: Of the last record, or of the tombstone.
        write_id: Of the turn that wrote it; a purge has one of its own.
        lives: The last 64 incarnations, this one at the end.
        recent: (version, turn id) of the last 64 records, over incarnations too.
        summary: None in a tombstone.
        purged: In a tombstone: the version that was purged.
        chunks: Sealed records of this incarnation, in order.
        tail: The records after them.
    """

    key: str
    version: int
    write_id: str
    lives: tuple[Life, ...]
    recent: tuple[_Mark, ...]
    summary: Summary | None = None
    purged: int = 0
    chunks: tuple[ChunkRef, ...] = ()
    tail: tuple[Record, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return 4096 + sum(len(record.data) for record in self.tail) + 100 * len(self.chunks)

    def chunks_after(self, version: int) -> tuple[ChunkRef, ...]:
        """Give the chunks that hold records with a higher version."""
        return tuple(chunk for chunk in self.chunks if chunk.last > version)


class Verdict(Enum):
    """What is to be done about an append that is neither committed nor refused yet."""

    WRITE = auto()
    """The history is where the append expects it."""
    LOOK_BACK = auto()
    """The record after the expected version is older than `recent`: look into the records themselves."""


def judge(head: Head | None, append: Append) -> Committed | Conflict | Verdict:
    """Decide about an append by the head that was read (H2, H4, H6)."""
    if head is None:
        return Verdict.WRITE if append.create and append.expected == 0 else Conflict(0)
    if append.create and (life := _find_life(head, append)) is not None:
        return Committed(life.first)
    is_live = head.summary is not None
    if append.expected == head.version and (append.create or is_live):
        return Verdict.WRITE
    if append.create or not is_live or append.expected >= head.version:
        return Conflict(head.version)
    return _look_back(head, append)


def _find_life(head: Head, append: Append) -> Life | None:
    """Find the life that a create began already: one whose answer was lost must not run a second time (S7).

    Where the create would be written, on a tombstone or over what has ended, that may be any life before. Elsewhere
    another life than the present one is a conflict.
    """
    is_in_place = head.summary is None or append.expected == head.version
    known = head.lives if is_in_place else head.lives[-1:]
    return next((life for life in known if life.incarnation == append.summary.incarnation), None)


def _look_back(head: Head, append: Append) -> Committed | Conflict | Verdict:
    """Tell my own write, whose answer was lost, from another's (R4): whose turn follows the expected version?"""
    index = bisect_right(head.recent, append.expected, key=lambda mark: mark.version)
    if index == 0 and len(head.recent) == RECENT_COUNT:
        return Verdict.LOOK_BACK
    mark = head.recent[index]
    return Committed(mark.version) if mark.turn_id == append.turn_id else Conflict(head.version)


def add(head: Head | None, append: Append) -> tuple[Head, Chunk | None]:
    """Build the head after an append that `judge` let through; the same bytes each time it is asked.

    Returns:
        The new head, and the chunk to write before it, if its tail was full.
    """
    record = Record(append.version, append.turn_id, bytes(append.record))
    lives = head.lives if head else ()
    recent = head.recent if head else ()
    chunks = () if append.create or head is None else head.chunks
    tail: tuple[Record, ...] = (record,)
    chunk: Chunk | None = None
    if append.create:
        lives = (*lives, Life(append.summary.incarnation, append.version))[-LIVES_COUNT:]
    else:
        assert head is not None, "`judge` lets only a create through where there is nothing"
        tail = (*head.tail, record)
        if head.tail and sum(len(one.data) for one in tail) > TAIL_BYTES_MAX:
            chunk = _seal(head, append.turn_id)
            chunks, tail = (*chunks, ChunkRef(chunk.name, head.tail[0].version, head.tail[-1].version)), (record,)
    grown = Head(
        key=append.key,
        version=append.version,
        write_id=append.turn_id,
        lives=lives,
        recent=(*recent, _Mark(append.version, append.turn_id))[-RECENT_COUNT:],
        summary=append.summary,
        chunks=chunks,
        tail=tail,
    )
    return grown, chunk


def bury(head: Head, write_id: str) -> Head:
    """Build the tombstone of a live history."""
    return Head(
        key=head.key,
        version=head.version + 1,
        write_id=write_id,
        lives=head.lives,
        recent=head.recent,
        purged=head.version,
    )


def _seal(head: Head, turn_id: str) -> Chunk:
    info = _ChunkInfo(key=head.key, records=_stored(head.tail))
    name = chunk_name(head.key, head.tail[0].version, turn_id)
    return Chunk(name, pack("chunk", info, tuple(record.data for record in head.tail)))


def encode_head(head: Head) -> bytes:
    """Write a head as an object."""
    info = _HeadInfo(
        key=head.key,
        version=head.version,
        write_id=head.write_id,
        lives=head.lives,
        recent=head.recent,
        summary=head.summary,
        purged=head.purged,
        chunks=head.chunks,
        tail=_stored(head.tail),
    )
    return pack("head", info, tuple(record.data for record in head.tail))


def decode_head(data: bytes, *, name: str, key: str | None = None) -> Head:
    """Read a head.

    Args:
        data: The object.
        name: Of the object, for messages.
        key: Whose it must be; None takes any.

    Raises:
        Corrupt: It is damaged or another instance's.
        TooNew: A newer release wrote it.
    """
    info, rest = unpack("head", data, _HeadInfo, name=name)
    if key not in {None, info.key}:
        raise Corrupt(f"{name} is the head of {info.key!r}, not of {key!r}. Restore it from a backup.")
    return Head(
        key=info.key,
        version=info.version,
        write_id=info.write_id,
        lives=info.lives,
        recent=info.recent,
        summary=info.summary,
        purged=info.purged,
        chunks=info.chunks,
        tail=_records(info.tail, rest, name),
    )


def decode_chunk(data: bytes, ref: ChunkRef, *, key: str) -> tuple[Record, ...]:
    """Read a chunk.

    Raises:
        Corrupt: It is damaged or not the one that the head refers to.
        TooNew: A newer release wrote it.
    """
    info, rest = unpack("chunk", data, _ChunkInfo, name=ref.name)
    records = _records(info.records, rest, ref.name)
    if info.key != key or not records or (records[0].version, records[-1].version) != (ref.first, ref.last):
        raise Corrupt(f"{ref.name} does not hold versions {ref.first} to {ref.last} of {key!r}. Restore it.")
    return records


def _stored(records: Sequence[Record]) -> tuple[_Stored, ...]:
    return tuple(_Stored(record.version, record.turn_id, len(record.data)) for record in records)


def _records(stored: Sequence[_Stored], data: bytes, name: str) -> tuple[Record, ...]:
    if sum(one.length + 1 for one in stored) != len(data):
        raise Corrupt(f"{name} has {len(data)} bytes of records, it should have other ones. Restore it from a backup.")
    records: list[Record] = []
    start = 0
    for one in stored:
        records.append(Record(one.version, one.turn_id, data[start : start + one.length]))
        start += one.length + 1
    return tuple(records)
