"""The index: what is known of all instances without reading their heads. Pure: no I/O here.

    ix/base          one entry for each instance, and for each tombstone of the last hour
    ix/marks/…       marks: their writers may have changed something that is in no segment yet
    ix/segments/…    segments: the entries that one client changed within a second

Whatever is read is merged by one rule: of two entries of a key the one with the higher version counts. Versions are
never reused (H2), so entries may come in any order, twice, or late, and no clock has a say. A tombstone is an entry,
too: else an older entry that comes late would bring the instance back into the list. It stays for an hour after it was
merged, longer than any request is under way.

The base counts its generations, so that no two of them are the same bytes: whoever replaces it under the etag that it
read replaces what it read.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from perdure.errors import Corrupt
from perdure.spi.history import Summary
from perdure.spi.object_history._container import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Base", "Entry", "decode_base", "decode_segment", "encode_base", "encode_segment", "merge", "without_old"]

TOMBSTONE_SECONDS = 3600.0
"""Services refuse requests that were signed more than 15 minutes ago: nothing older than an hour arrives any more."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the index knows of one key.

    Attributes:
        key: Instance id.
        version: Of the record or tombstone that this entry was written with.
        summary: None for a tombstone.
        forget_at: When the base may drop a tombstone, seconds since the epoch; 0 in segments, and for instances.
    """

    key: str
    version: int
    summary: Summary | None
    forget_at: float = 0.0


class Base(msgspec.Struct, frozen=True):
    """The merged index.

    Attributes:
        generation: Grows by one with each base that replaces another.
        entries: By key, in ascending order.
    """

    generation: int
    entries: tuple[Entry, ...]


class _Info(msgspec.Struct, frozen=True, kw_only=True):
    """The line of JSON in a base or a segment: entries follow, each a line of JSON."""

    count: int
    generation: int = 0


def merge(*known: Iterable[Entry]) -> tuple[Entry, ...]:
    """Merge entries: the highest version of each key, by key; of equal ones the first."""
    newest: dict[str, Entry] = {}
    for entry in chain(*known):
        there = newest.get(entry.key)
        if there is None or there.version < entry.version:
            newest[entry.key] = entry
    return tuple(newest[key] for key in sorted(newest))


def without_old(entries: Iterable[Entry], now: float) -> tuple[Entry, ...]:
    """Drop the tombstones whose time is over, and give the new ones theirs: what goes into a base."""
    kept: list[Entry] = []
    for entry in entries:
        if entry.summary is not None or entry.forget_at > now:
            kept.append(entry)
        elif not entry.forget_at:
            kept.append(msgspec.structs.replace(entry, forget_at=now + TOMBSTONE_SECONDS))
    return tuple(kept)


def encode_base(base: Base) -> bytes:
    """Write a base as an object."""
    return pack("index", _Info(count=len(base.entries), generation=base.generation), _lines(base.entries))


def decode_base(data: bytes, *, name: str) -> Base:
    """Read a base.

    Raises:
        Corrupt: It is damaged; the message says how to have it built again.
        TooNew: A newer release wrote it.
    """
    info, entries = _decode(data, name)
    return Base(info.generation, entries)


def encode_segment(entries: Iterable[Entry]) -> bytes:
    """Write a segment as an object."""
    lines = _lines(entries)
    return pack("index", _Info(count=len(lines)), lines)


def decode_segment(data: bytes, *, name: str) -> tuple[Entry, ...]:
    """Read a segment; raises as `decode_base`."""
    return _decode(data, name)[1]


def _lines(entries: Iterable[Entry]) -> tuple[bytes, ...]:
    return tuple(map(msgspec.json.encode, entries))


def _decode(data: bytes, name: str) -> tuple[_Info, tuple[Entry, ...]]:
    try:
        info, rest = unpack("index", data, _Info, name=name)
        lines = rest.splitlines()
        if len(lines) != info.count:
            raise Corrupt(f"{name} is damaged: it has {len(lines)} entries, not {info.count}.")  # noqa: TRY301 - one place says the mend
        return info, tuple(msgspec.json.decode(line, type=Entry) for line in lines)
    except (Corrupt, msgspec.DecodeError) as error:
        raise Corrupt(
            f"{error} The index holds nothing that the heads do not hold: or stop every client of this hub and delete "
            "what is below ix/; the next scan builds it again."
        ) from error
