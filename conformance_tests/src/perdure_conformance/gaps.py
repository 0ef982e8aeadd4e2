"""Declared gaps: clauses that a backend is known not to keep, each with its reason.

    class MyHarness(Harness):
        gaps = {"Q9": "the service has no groups"}

Tests of such a clause run all the same. What fails of them is skipped, visibly, and the clause stands in the report as
a gap; when all of them pass, the report says that it is one no longer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from perdure_conformance._report.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure_conformance.harness import Harness

__all__ = ["gap_of"]

_NUMBERED = re.compile(r"[A-Za-z]+\d+")


def gap_of(harness: type[Harness], clause: str) -> str:
    """Say which gap of a harness a clause falls into.

    Args:
        harness: Whose `gaps` are looked at.
        clause: A number such as `Q9`, or the name of a group of scenarios.

    Returns:
        Such as `declared gap Q9: no groups`; empty if it is none.

    Raises:
        pytest.UsageError: It declares a gap in a clause that does not exist, or gives no reason.
    """
    gaps: Mapping[str, str] = getattr(harness, "gaps", {})
    for name, reason in gaps.items():
        if _NUMBERED.fullmatch(name) and name not in CLAUSES:
            raise pytest.UsageError(
                f"{harness.__name__}.gaps names {name!r}, which is no clause: write one of {', '.join(CLAUSES)}."
            )
        if not reason:
            raise pytest.UsageError(f"{harness.__name__}.gaps[{name!r}] has no reason: write what the backend lacks.")
    return f"declared gap {clause}: {gaps[clause]}" if clause in gaps else ""
