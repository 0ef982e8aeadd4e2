"""Writing the index: one segment a second of what this client changed, and a mark for as long as something is missing.

    no mark ──first write──▶ marked ──every second: a segment──▶ marked ──a second without a change──▶ no mark

The mark is put before the first head, and removed when all changes are in segments: whoever finds one that stands still
knows that its client died with changes in memory, and reads the heads. Nobody may find that of a living client that
goes on writing. So a mark ends by its own client's clock, too, and earlier: it is good for `MARK_INTERVALS` from the
start of the last put that was answered in time, and no head is written without one that is good. A client that was
stopped for a while thus begins with a new mark, as others may have cleared the old one away.

A write of a head that was cancelled, or whose answer was lost, may happen later. Until the head shows that it did or
never will the client keeps its mark, for half a minute; after that it is left to the next write of that instance. Not
covered, then: a request that reaches the service half a minute late, or after its process has died and was noticed.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.errors import Corrupt, TooNew, Unavailable, Unknown
from perdure.ids import Key
from perdure.spi.object_history._index import Entry
from perdure.spi.object_history._index_objects import SEGMENTS_MAX
from perdure.spi.objects import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from perdure.spi.object_history._head import Head
    from perdure.spi.object_history._index_objects import IndexObjects
    from perdure.spi.objects import Etag
    from perdure.spi.plugin import Environment

__all__ = ["IndexWriter"]

MARK_INTERVALS = 8
DOUBT_SECONDS = 30.0
_ATTEMPTS = 4


@dataclass(slots=True)
class _Mark:
    name: str
    good_until: float
    segments: int = 0


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A write that may have happened, or may still happen while the head has the version that it replaces."""

    replaces: int
    until: float


class IndexWriter:
    """What one client of a hub adds to the index. Its task lives only while there is something to write.

    Args:
        index: The objects.
        environment: The hub's clock and entropy.
        interval_seconds: Between two segments.
        read_head: Reads the head of an instance anew, and tells `saw` of it.
    """

    def __init__(
        self,
        index: IndexObjects,
        environment: Environment,
        interval_seconds: float,
        read_head: Callable[[Key], Awaitable[object]],
    ) -> None:
        self._index = index
        self._clock = environment.clock
        self._interval_seconds = interval_seconds
        self._read_head = read_head
        self._client = environment.entropy.random_bytes(8).hex()
        self._marks_count = 0
        self._mark: _Mark | None = None
        self._outdated: list[str] = []
        self._marking = asyncio.Lock()
        self._pending: dict[str, Entry] = {}
        self._under_way = 0
        self._doubts: dict[str, _Doubt] = {}
        self._unmerged = 0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # ── what the store tells and asks ────────────────────────────────────────────────────────────────────────────

    async def write(
        self, head: Head, replaces: int, put: Callable[[], Awaitable[Etag | PreconditionFailed]]
    ) -> Etag | PreconditionFailed:
        """Carry out the put of a head, and see to it that the index learns of it.

        Args:
            head: What is put.
            replaces: Version of the head that is there, 0 for none; the put fails if it is another one.
            put: The call.

        Raises:
            Unavailable: There is no mark, so nothing was put; or as `put`.
        """
        if self._closing.is_set():
            raise Unavailable("This store was closed: open another one.")
        self._tell_failure()
        await self._have_a_mark()
        self._keep_flushing()
        self._under_way += 1
        try:
            answer = await put()
        except BaseException as error:
            if isinstance(error, Unknown) or not isinstance(error, Exception):
                self._doubts[head.key] = _Doubt(replaces, self._clock.monotonic() + DOUBT_SECONDS)
            raise
        finally:
            self._under_way -= 1
        if not isinstance(answer, PreconditionFailed):
            self._note(head)
        return answer

    def saw(self, head: Head) -> None:
        """Learn of a head that was just read: it may settle a doubt."""
        doubt = self._doubts.get(head.key)
        if doubt is not None and head.version > doubt.replaces:
            del self._doubts[head.key]
            self._note(head)

    def unflushed(self) -> tuple[Entry, ...]:
        """Give what is in no segment yet."""
        return tuple(self._pending.values())

    def is_mine(self, mark: str) -> bool:
        """Tell whether this client put a mark."""
        return mark.startswith(self._client)

    async def aclose(self) -> None:
        """Write what is left and remove the mark; if the service does not let it, the mark tells whoever scans next."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task})
            self._tell_failure()
        for _ in range(_ATTEMPTS):
            try:
                await self._tick()
            except (Unavailable, Unknown):
                continue
            if self._mark is None and not self._outdated:
                return

    # ── the mark ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _have_a_mark(self) -> None:
        """Go on only with a mark that is good."""
        if not self._is_marked():
            async with self._marking:
                if not self._is_marked():
                    await self._put_mark()

    def _is_marked(self) -> bool:
        return self._mark is not None and self._clock.monotonic() < self._mark.good_until

    async def _put_mark(self) -> None:
        good_until = self._clock.monotonic() + MARK_INTERVALS * self._interval_seconds
        self._marks_count += 1
        mark = _Mark(f"{self._client}.{self._marks_count}", good_until)
        try:
            await self._index.put_mark(mark.name)
        except Unknown as error:
            self._outdated.append(mark.name)  # It may be there, or get there.
            raise Unavailable(f"The index takes no mark, so nothing was written: try again. ({error})") from error
        except asyncio.CancelledError:
            self._outdated.append(mark.name)
            raise
        else:
            if self._mark is not None:
                self._outdated.append(self._mark.name)
            self._mark = mark
        finally:
            self._keep_flushing()

    # ── every second ─────────────────────────────────────────────────────────────────────────────────────────────

    def _keep_flushing(self) -> None:
        if (self._task is None or self._task.done()) and not self._closing.is_set():
            self._task = asyncio.create_task(self._run(), name="index of a perdure hub")

    def _tell_failure(self) -> None:
        """Raise what nobody mended by trying again, such as a missing right."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while self._mark is not None or self._outdated:
            if await self._clock.wait(self._closing, self._interval_seconds):
                return
            # Nothing is forgotten before it is written: the next second tries again.
            with suppress(Unavailable, Unknown):
                await self._tick()

    async def _tick(self) -> None:
        await self._settle_doubts()
        if self._pending or self._under_way or self._doubts:
            await self._flush()
        elif self._mark is not None:
            self._outdated.append(self._mark.name)
            self._mark = None
        if self._outdated:
            outdated = list(self._outdated)
            await self._index.remove_marks(outdated)
            self._outdated = [name for name in self._outdated if name not in outdated]
        if self._unmerged > SEGMENTS_MAX:
            await self._merge()

    async def _flush(self) -> None:
        """Write a segment; an empty one only shows that this client is alive, while a write is under way."""
        await self._have_a_mark()
        mark, flushed, asked_at = self._mark, dict(self._pending), self._clock.monotonic()
        assert mark is not None
        mark.segments += 1
        await self._index.put_segment(mark.name, mark.segments, flushed.values())
        # An answer that comes too late shows others nothing in time.
        if self._clock.monotonic() < mark.good_until:
            mark.good_until = asked_at + MARK_INTERVALS * self._interval_seconds
        for key, entry in flushed.items():
            if self._pending.get(key) is entry:
                del self._pending[key]
        self._unmerged += 1

    async def _merge(self) -> None:
        """Merge segments if there are many; the first base is left to the first scan, since all heads go into it."""
        listing = await self._index.look()
        if listing.has_base:
            await self._index.gather(listing)
        self._unmerged = 0

    async def _settle_doubts(self) -> None:
        for key, doubt in sorted(self._doubts.items()):
            try:
                await self._read_head(Key(key))
            except (Corrupt, TooNew):
                self._doubts.pop(key, None)  # Whoever reads that instance is told.
            if self._clock.monotonic() >= doubt.until and self._doubts.get(key) is doubt:
                del self._doubts[key]

    def _note(self, head: Head) -> None:
        there = self._pending.get(head.key)
        if there is None or there.version < head.version:
            self._pending[head.key] = Entry(head.key, head.version, head.summary)
