"""What is measured: numbers with a unit, and the goals of some of them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

MICROSECONDS = "µs"  # noqa: RUF001 - the micro sign, as on keyboards


class Number(msgspec.Struct, frozen=True):
    """One result.

    Attributes:
        name: What it is.
        value: How much.
        unit: In what: `steps/s`, `ms`, `bytes` …
    """

    name: str
    value: float
    unit: str


class Goal(msgspec.Struct, frozen=True):
    """What a number should be.

    Attributes:
        sign: On which side of the bound.
        bound: In the unit of the number.
    """

    sign: Literal["≥", "≤", ">"]
    bound: float

    def is_met(self, value: float) -> bool:
        """Hold a value against the bound."""
        if self.sign == "≤":
            return value <= self.bound
        return value > self.bound or (self.sign == "≥" and value == self.bound)


GOALS: dict[tuple[str, str], Goal] = {
    ("w1-512", "throughput"): Goal("≥", 15_000),
    ("w1-50", "throughput"): Goal("≥", 10_000),
    ("w1-1", "throughput"): Goal("≥", 1_500),
    ("w1-512", "disk per step"): Goal("≤", 1_024),
    ("w2", "one step p50"): Goal("≤", 2),
    ("w2", "five steps p50"): Goal("≤", 5),
    ("w3", "time"): Goal("≤", 0.15),
    ("w4", "throughput"): Goal("≥", 1_200),
    ("w5", "time"): Goal("≤", 0.6),
    ("w6", "time"): Goal("≤", 1.3),
    ("chain", "last ÷ first"): Goal("≥", 0.9),  # As fast as the first, give or take what a machine wavers.
    ("chain", "cold replay"): Goal("≥", 100_000),
    ("memory", "worker after W1"): Goal("≤", 60),
    ("waiting", "per instance beyond the cache"): Goal("≤", 2_048),
    ("recovery", "restart to first new step"): Goal("≤", 1),
    ("acknowledged", "lost"): Goal("≤", 0),
    ("statements", "PRAGMA synchronous"): Goal("≥", 2),
    ("processes", "two ÷ one"): Goal(">", 1),
}
"""By measurement and name: for `sqlite:`, one worker process, two cores, at full size."""


def quantile(values: Sequence[float], percent: int) -> float:
    """Find the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def spread(name: str, values: Sequence[float], unit: str) -> list[Number]:
    """Give the median of repeated measurements, the least and the most of them, and how many there were."""
    return [
        Number(name, statistics.median(values), unit),
        Number(f"{name}: least", min(values), unit),
        Number(f"{name}: most", max(values), unit),
        Number(f"{name}: repeated", len(values), "times"),
    ]
