"""The open timers of an instance, and which one of them has a message under way (R19).

Only the earliest is armed. Whenever another becomes the earliest, because the old one fired or was canceled or because
an earlier one was set, the record that made it so arms it. So the earliest open timer always has a message of its own,
and a message of any other may be forgotten: that needs no clock, and holds however far the workers' clocks are apart.
"""

from __future__ import annotations

import heapq

__all__ = ["Timers"]

FORGOTTEN_MAX = 64
"""Entries of canceled timers that the heap may hold besides as many as there are open ones."""


class Timers:
    """Open timers.

    Attributes:
        open: When each open timer is due, by seq.
        armed_at: When the message of the earliest one is due; 0 if no timer is open.
        armed_version: Record that sent it, or that sent the last one; 0 if none was sent yet.
    """

    __slots__ = ("_armed_seq", "_heap", "armed_at", "armed_version", "open")

    def __init__(self) -> None:
        self.open: dict[int, float] = {}
        self.armed_at = 0.0
        self.armed_version = 0
        self._armed_seq: int = 0  # no seq is ever used twice: that of a closed timer stands for none
        self._heap: list[tuple[float, int]] = []

    def set(self, seq: int, fire_at: float) -> None:
        """Open a timer; `fire_at` may be in the past."""
        self.open[seq] = fire_at
        heapq.heappush(self._heap, (fire_at, seq))

    def drop(self, seq: int) -> None:
        """Close a timer that fired or is canceled; nothing happens to one that is not open."""
        self.open.pop(seq, None)
        if len(self._heap) > 2 * len(self.open) + FORGOTTEN_MAX:
            self._heap = [(fire_at, open_seq) for open_seq, fire_at in self.open.items()]
            heapq.heapify(self._heap)

    def clear(self) -> None:
        """Close all."""
        self.open.clear()
        self._heap.clear()

    def due(self, now: float) -> list[int]:
        """List the seqs of those that are due, in the order of (fire_at, seq). They stay open."""
        entries: list[tuple[float, int]] = []
        while (first := self._first()) is not None and first[0] <= now:
            entries.append(heapq.heappop(self._heap))
        for entry in entries:
            heapq.heappush(self._heap, entry)
        return [seq for _, seq in entries]

    def arm(self, version: int, now: float) -> None:
        """Have the record `version` send the message of the earliest timer, unless it is under way.

        Args:
            version: Of the record that was just applied.
            now: Its clock: a timer that was set in the past is due then.
        """
        first = self._first()
        if first is None:
            self.armed_at = 0.0
        elif first[1] != self._armed_seq:
            self.armed_at = max(first[0], now)
            self._armed_seq = first[1]
            self.armed_version = version

    def _first(self) -> tuple[float, int] | None:
        heap = self._heap
        while heap and heap[0][1] not in self.open:
            heapq.heappop(heap)
        return heap[0] if heap else None
