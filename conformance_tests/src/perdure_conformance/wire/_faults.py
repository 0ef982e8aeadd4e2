"""What can happen to a request on its way, and chance that says to which."""

from __future__ import annotations

import enum
import random
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "WireFault", "WireFaults"]


class WireFault(enum.Enum):
    """One thing that can happen to a request or to its answer."""

    DROPPED_BEFORE = "the connection ends before the service sees the request"
    DROPPED_AFTER = "the service does it, and the connection ends before the answer"
    LATE = "the connection ends, and the service does it later"
    TWICE = "the service does it twice; the second answer arrives"
    CONFLICT = "the service answers that another request is under way (409)"
    BUSY = "the service asks to slow down (503)"
    CUT = "half of the answer arrives"
    SLOW = "the answer takes its time"


KINDS: Mapping[WireFault, int] = {
    WireFault.DROPPED_BEFORE: 3,
    WireFault.DROPPED_AFTER: 4,
    WireFault.LATE: 2,
    WireFault.TWICE: 2,
    WireFault.CONFLICT: 2,
    WireFault.BUSY: 3,
    WireFault.CUT: 2,
    WireFault.SLOW: 2,
}
"""How often each happens, compared with the others."""


class WireFaults:
    """Chance, from a seed; the order in which requests come is not: real connections race.

    Args:
        seed: Of the chance.
        rate: Share of requests that meet a fault, 0 to 1.
        kinds: Weights, as `KINDS`; what is left out does not happen.

    Attributes:
        met: How often each fault happened.
        requests: How many requests there were.
    """

    def __init__(self, seed: int, *, rate: float = 0.1, kinds: Mapping[WireFault, int] = KINDS) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._kinds = dict(kinds)
        self.rate = rate
        self.met: Counter[WireFault] = Counter()
        self.requests = 0

    def choose(self, *, can_conflict: bool) -> WireFault | None:
        """Say what happens to the next request; mostly nothing.

        Args:
            can_conflict: Whether the service could answer this one with a conflict.
        """
        self.requests += 1
        if self._chance.random() >= self.rate:
            return None
        kinds = {kind: weight for kind, weight in self._kinds.items() if can_conflict or kind is not WireFault.CONFLICT}
        (chosen,) = self._chance.choices(list(kinds), list(kinds.values()))
        self.met[chosen] += 1
        return chosen

    def seconds(self) -> float:
        """Say how long what is late or slow takes."""
        return self._chance.uniform(0.05, 0.3)
