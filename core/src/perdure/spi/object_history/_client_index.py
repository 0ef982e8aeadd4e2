"""The index as one client of a hub uses it: its changes go in, nothing that a dead client did is missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi.object_history._index import Entry, merge
from perdure.spi.object_history._index_objects import IndexObjects, Listing
from perdure.spi.object_history._index_writer import IndexWriter
from perdure.spi.object_history._watch import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from perdure.ids import Key
    from perdure.spi.objects import ConditionalObjects
    from perdure.spi.plugin import Environment

__all__ = ["Index"]

DEAD_INTERVALS = 10
"""More than `MARK_INTERVALS` of the writer: its own clock ends a mark before others do, by a fifth of the time."""

LAG_INTERVALS = 3
"""One to the next segment, one without a change before the mark goes, one for the requests."""


class Index:
    """The index of a hub.

    Args:
        objects: Where.
        environment: The hub's clock and entropy.
        interval_seconds: Between two segments of a client.
        read_head: Reads the head of an instance anew, and tells `writer.saw` of it.

    Attributes:
        writer: Takes in what this client changes.
        lag_seconds: How far a scan may be behind what another client has changed.
    """

    def __init__(
        self,
        objects: ConditionalObjects,
        environment: Environment,
        interval_seconds: float,
        read_head: Callable[[Key], Awaitable[object]],
    ) -> None:
        self._objects = IndexObjects(objects, environment.clock)
        self._clock = environment.clock
        self._interval_seconds = interval_seconds
        self._watch = Watch(DEAD_INTERVALS * interval_seconds)
        self.writer = IndexWriter(self._objects, environment, interval_seconds, read_head)
        self.lag_seconds = LAG_INTERVALS * interval_seconds

    async def find(self) -> tuple[Entry, ...]:
        """Give the entry of every key, by key.

        Where other clients write at the moment it takes until each has written its next segment, about a second; where
        one has died, ten seconds at most, if that was not noticed before.
        """
        # Before the list is asked for: what is flushed by then is in the list.
        unflushed = self.writer.unflushed()
        listing, dead = await self._listen()
        return merge(unflushed, await self._objects.gather(listing, dead))

    async def _listen(self) -> tuple[Listing, Sequence[str]]:
        """Wait for a sign of life of everybody who had a mark at the start; tell who is dead."""
        since = self._clock.monotonic() - self.lag_seconds
        listing = await self._look()
        others = [mark for mark in listing.marks if not self.writer.is_mine(mark)]
        while silent := self._watch.silent(others, since):
            if all(map(self._watch.is_dead, silent)):
                break
            await self._clock.sleep(self._interval_seconds / 2)
            listing = await self._look()
        return listing, silent

    async def _look(self) -> Listing:
        began = self._clock.monotonic()
        listing = await self._objects.look()
        self._watch.take_in(listing.marks, began=began, ended=self._clock.monotonic())
        return listing
