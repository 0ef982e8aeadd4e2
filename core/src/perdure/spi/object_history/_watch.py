"""Who may have changes that are in no segment? Decided by what was seen of marks, and the reader's own monotonic clock.

A client puts a mark before it writes heads, writes a segment every second, and removes the mark when all it wrote is in
segments. So a mark that stays, without a new segment, is one whose client has died (or is stuck: then its mark has
ended, too, by the client's own clock and before it has by anybody else's: see `IndexWriter`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True)
class _Sight:
    """What was seen of one mark: its highest segment, since when, and when it last was seen to grow."""

    number: int
    since: float
    grown_at: float = -math.inf


class Watch:
    """What one client of a hub has seen of the marks of others.

    Args:
        dead_after_seconds: A mark that stands still for so long is a dead client's.
    """

    def __init__(self, dead_after_seconds: float) -> None:
        self._dead_after_seconds = dead_after_seconds
        self._sights: dict[str, _Sight] = {}
        self._looked_at = -math.inf

    def take_in(self, marks: Mapping[str, int], *, began: float, ended: float) -> None:
        """Take in a list of marks, each with the number of its highest segment (0: it has none).

        Args:
            marks: All that there are.
            began: When the list was asked for, by this process's monotonic clock: until then a mark has stood still.
            ended: When it was there: since then.
        """
        seen: dict[str, _Sight] = {}
        for mark, number in marks.items():
            before = self._sights.get(mark)
            if before is None:
                seen[mark] = _Sight(number, ended)
            elif number > before.number:
                seen[mark] = _Sight(number, ended, began)
            else:
                seen[mark] = before
        self._sights, self._looked_at = seen, began

    def silent(self, marks: Iterable[str], since: float) -> list[str]:
        """Give those of some marks that are still there and were not seen to grow since then."""
        return [mark for mark in marks if mark in self._sights and self._sights[mark].grown_at < since]

    def is_dead(self, mark: str) -> bool:
        """Tell whether a mark, at the last look, had stood still for longer than that of a living client does."""
        return self._looked_at - self._sights[mark].since >= self._dead_after_seconds
