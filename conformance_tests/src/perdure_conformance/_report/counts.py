"""Counts that tests write down beside passing: how many faults, crash points, examples and so on they went through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

__all__ = ["counts_in", "note_count", "told"]

PREFIX = "perdure_count_"
"""Of properties of tests, whose values are whole numbers; they are summed by name."""

WORDS = {
    "faults": "faults injected",
    "crash_points": "crash points",
    "examples": "examples against the model",
    "histories": "histories searched",
    "seeds": "seeds simulated",
    "simulated_faults": "faults simulated",
}
"""How some are called; others by their names."""


def note_count(item: pytest.Item, name: str, count: int) -> None:
    """Write down a count of a test; the report sums them.

    Args:
        item: The test: `request.node` of a fixture or of the test itself.
        name: Such as `faults`; another with each of its meanings.
        count: 0 or more.
    """
    item.user_properties.append((PREFIX + name, count))


def counts_in(properties: Iterable[tuple[str, object]]) -> Counter[str]:
    """Pick the counts among the properties of a test."""
    found: Counter[str] = Counter()
    for name, value in properties:
        if name.startswith(PREFIX) and isinstance(value, int):
            found[name.removeprefix(PREFIX)] += value
    return found


def told(counts: Mapping[str, int]) -> str:
    """Tell counts in one line, such as `418 scenarios, 12,345 faults injected`; empty if there are none."""
    return ", ".join(f"{count:,} {WORDS.get(name, name.replace('_', ' '))}" for name, count in counts.items())
