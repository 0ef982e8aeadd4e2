"""What a queue keeps beside its messages, to find them in time: who is next, what is due, which ids were seen."""

from __future__ import annotations

from collections import OrderedDict
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

__all__ = ["Alarms", "Duplicates", "Line"]

_DUPLICATES_MAX = 100_000  # Ids remembered at most, the newest; the service has no such limit.
_STALE_MAX = 1_000  # Entries that are not worth a clean-up.


class Line:
    """Sequence numbers of messages that can be received, lowest first: a message that is given back keeps its place."""

    __slots__ = ("_heap", "_there")

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._there: set[int] = set()

    def __len__(self) -> int:
        return len(self._there)

    def put(self, sequence: int) -> None:
        """Put a number where it belongs."""
        self._there.add(sequence)
        heappush(self._heap, sequence)

    def take(self) -> int:
        """Take the lowest; asked only while there is one."""
        while True:
            sequence = heappop(self._heap)
            if sequence in self._there:
                self._there.remove(sequence)
                return sequence

    def discard(self, sequence: int) -> None:
        """Drop a number, if it is there."""
        self._there.discard(sequence)
        if not self._there:
            self._heap.clear()


class Alarms:
    """Sequence numbers of messages by the time when something happens to them, if it is still to happen then.

    Args:
        messages: Which there are: an alarm of another is stale.
    """

    def __init__(self, messages: Container[int]) -> None:
        self._messages = messages
        self._heap: list[tuple[float, int]] = []
        self._clean_at = _STALE_MAX

    @property
    def first(self) -> float | None:
        """When the first one is due."""
        return self._heap[0][0] if self._heap else None

    def put(self, when: float, sequence: int) -> None:
        """Remember one."""
        if len(self._heap) >= self._clean_at:
            self._heap[:] = [entry for entry in self._heap if entry[1] in self._messages]
            heapify(self._heap)
            self._clean_at = 2 * len(self._heap) + _STALE_MAX
        heappush(self._heap, (when, sequence))

    def take(self, now: float) -> Iterator[tuple[float, int]]:
        """Take those that are due, with their times."""
        while self._heap and self._heap[0][0] <= now:
            yield heappop(self._heap)


class Duplicates:
    """Ids of messages that were sent within a window.

    Args:
        window_seconds: How long one is remembered; None: not at all.
    """

    def __init__(self, window_seconds: float | None) -> None:
        self._window_seconds = window_seconds
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def is_known(self, message_id: bytes | None, now: float) -> bool:
        """Whether an id was seen before; it is from now on."""
        if self._window_seconds is None or message_id is None:
            return False
        begin = now - self._window_seconds
        while self._seen and (next(iter(self._seen.values())) <= begin or len(self._seen) >= _DUPLICATES_MAX):
            self._seen.popitem(last=False)
        if message_id in self._seen:
            return True
        self._seen[message_id] = now
        return False
