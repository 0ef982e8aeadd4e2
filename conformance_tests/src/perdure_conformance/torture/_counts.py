"""What a run of the torture did and found, in numbers that reports can sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_conformance.torture._process import UNFINISHED

if TYPE_CHECKING:
    from collections import Counter

    from perdure.testing import Report

LOST = frozenset({"R1", "L1", "L2", "L3", "L4", "Q7", "effects"})
DOUBLED = frozenset({"R4", "S1", "S3", "S3b", "S4", "S6"})
"""Codes of findings (`perdure.testing.ORACLES`): what is gone, and what happened once too often or unasked."""


def count(properties: list[tuple[str, object]], toll: Counter[str], report: Report) -> None:
    """Print the numbers, and put each into the properties of the test: whole numbers named `perdure_count_…`.

    Args:
        properties: Those of the test, pytest's `item.user_properties`.
        toll: How many kills have hit what.
        report: What the oracles found.
    """
    numbers = {
        "workflows": sum(report.statuses.values()),
        "lost": sum(finding.code in LOST for finding in report.findings),
        "doubled": sum(finding.code in DOUBLED for finding in report.findings),
        "repeated_attempts": report.repeated_count,
        "kills": toll.total(),
        "kills_in_unfinished_work": unfinished_kills(toll),
        **{f"kills_at_{hit.replace(' ', '_')}": kills for hit, kills in toll.most_common()},
    }
    # Not by `record_property`: beside --junitxml it warns, which is an error where warnings are.
    properties += [(f"perdure_count_{name}", number) for name, number in numbers.items()]
    told = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in numbers.items())
    print(f"\n{told}.\n{report}")  # noqa: T201 - the numbers are the result


def unfinished_kills(toll: Counter[str]) -> int:
    """Count the kills that hit a turn or an activity before it was over."""
    return sum(kills for hit, kills in toll.items() if hit in UNFINISHED)
