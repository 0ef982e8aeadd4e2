"""The objects of the index: listed, read, and merged into the base.

The order is what makes it right. A list shows marks before segments, since names come in ascending order: where a mark
is gone, its last segment is there. A segment that is gone when it is read was merged before it was deleted, so the base
is read last. The base is replaced under the etag that was read, and only then are the segments deleted that went into
it: of two who merge at once one fails and deletes nothing, and after a crash in between they are merged once more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.errors import Unavailable, Unknown
from perdure.spi.object_history._head import decode_head
from perdure.spi.object_history._index import (
    Base,
    Entry,
    decode_base,
    decode_segment,
    encode_base,
    encode_segment,
    merge,
    without_old,
)
from perdure.spi.object_history._names import (
    HEADS,
    INDEX,
    INDEX_BASE,
    is_head,
    mark_name,
    mark_of,
    segment_name,
    segment_of,
)
from perdure.spi.object_history._parallel import read_each
from perdure.spi.objects import ConditionalObjects, Etag, Found, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perdure.spi.clock import Clock

__all__ = ["SEGMENTS_MAX", "IndexObjects", "Listing", "read_heads"]

SEGMENTS_MAX = 64
"""So many are merged into the base: what a scan reads stays small, and a base is written about once a minute."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What there is of the index.

    Attributes:
        has_base: Whether it was ever built.
        marks: Each with the number of its highest segment; 0 if it has none.
        segments: Names.
    """

    has_base: bool
    marks: dict[str, int]
    segments: tuple[str, ...]

    @property
    def mergeable(self) -> tuple[str, ...]:
        """Those segments that may go once the base has them: all but the highest of each mark, its sign of life."""
        highest = {segment_name(mark, number) for mark, number in self.marks.items()}
        return tuple(name for name in self.segments if name not in highest)


class IndexObjects:
    """The index of a hub, as all its clients share it.

    Args:
        objects: Where.
        clock: For the end of tombstones only.
    """

    def __init__(self, objects: ConditionalObjects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    async def put_mark(self, mark: str) -> None:
        """Let everybody know that changes may follow which are in no segment yet."""
        await self._objects.put(mark_name(mark), encode_segment(()))

    async def remove_marks(self, marks: Sequence[str]) -> None:
        """Remove marks whose changes are all in segments or in the base."""
        await self._objects.delete(list(map(mark_name, marks)))

    async def put_segment(self, mark: str, number: int, entries: Iterable[Entry]) -> None:
        """Write a segment, under a number that this mark has not used before, not even for a put that failed."""
        await self._objects.put(segment_name(mark, number), encode_segment(entries))

    async def look(self) -> Listing:
        """List the index."""
        names = [name async for name in self._objects.list(INDEX)]
        segments = tuple(name for name in names if segment_of(name))
        marks = {mark: 0 for mark in map(mark_of, names) if mark is not None}
        for mark, number in filter(None, map(segment_of, segments)):
            if mark in marks:
                marks[mark] = max(marks[mark], number)
        return Listing(INDEX_BASE in names, marks, segments)

    async def gather(self, listing: Listing, dead: Sequence[str] = ()) -> tuple[Entry, ...]:
        """Read the index, and merge it into a new base where that is due.

        Args:
            listing: What there is.
            dead: Marks of clients that may have changed what they will never write into a segment: heads are read.

        Raises:
            Unavailable: It went away meanwhile, or the service does not answer: try again.
            Corrupt: It is damaged; the message says how to have it built again.
        """
        heads: Sequence[Entry] | None = None
        if dead or not listing.has_base:
            heads = await read_heads(self._objects)
            # Reading them takes its time. The base is replaced only if it is read just before.
            listing = await self.look()
        segments = [
            decode_segment(found.data, name=name)
            async for name, found in read_each(self._objects, listing.segments)
            if isinstance(found, Found)
        ]
        there = await self._objects.get(INDEX_BASE)
        base, etag = Base(0, ()), None
        if isinstance(there, Found):
            base, etag = decode_base(there.data, name=INDEX_BASE), there.etag
        elif heads is None:
            raise Unavailable(f"{INDEX_BASE} was deleted while it was read: try again.")
        entries = merge(base.entries, heads or (), *segments)
        if heads is not None or len(listing.mergeable) >= SEGMENTS_MAX:
            # The entries are right whether or not this works; whoever is next tries again.
            with suppress(Unavailable, Unknown):
                await self._replace(base, etag, entries, listing, dead)
        return entries

    async def _replace(
        self, old: Base, etag: Etag | None, entries: tuple[Entry, ...], listing: Listing, dead: Sequence[str]
    ) -> None:
        data = encode_base(Base(old.generation + 1, without_old(entries, self._clock.now())))
        if len(data) > self._objects.capabilities.object_bytes_max:
            return  # Segments stay, and scans get slower.
        answer = await self._objects.put(INDEX_BASE, data, if_absent=etag is None, if_match=etag)
        if isinstance(answer, PreconditionFailed):
            return
        # Crash here: the segments are merged once more, and the dead are mourned once more.
        await self._objects.delete([*listing.mergeable, *map(mark_name, dead)])


async def read_heads(objects: ConditionalObjects) -> list[Entry]:
    """Read every head, tombstones too: right, and dear."""
    names = [name async for name in objects.list(HEADS) if is_head(name)]
    heads = [
        decode_head(found.data, name=name)
        async for name, found in read_each(objects, names)
        if isinstance(found, Found)
    ]
    return [Entry(head.key, head.version, head.summary) for head in heads]
