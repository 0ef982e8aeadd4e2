"""What the torture says: its counts, and what is wrong with workers that do not even start."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from _harnesses import SqliteHarness
from perdure_conformance.torture._counts import count
from perdure_conformance.torture._place import torture

from perdure.testing import Finding, Report

if TYPE_CHECKING:
    from pathlib import Path


def test_counts_go_into_the_properties_of_the_test() -> None:
    """Reports sum whatever is named so; what is lost or doubled must not hide in a longer list of findings."""
    properties: list[tuple[str, object]] = []
    findings = (Finding("L2", "errand-1", "lost"), Finding("S4", "errand-2", "twice"), Finding("H8", "errand-3", "-"))
    report = Report(findings, {"Completed": 3, "Running": 1}, record_count=9, replayed_count=4, repeated_count=5)

    count(properties, Counter({"turn": 2, "effect not recorded": 1, "nothing": 4}), report)

    assert dict(properties) == {
        "perdure_count_workflows": 4,
        "perdure_count_lost": 1,
        "perdure_count_doubled": 1,
        "perdure_count_repeated_attempts": 5,
        "perdure_count_kills": 7,
        "perdure_count_kills_in_unfinished_work": 3,
        "perdure_count_kills_at_turn": 2,
        "perdure_count_kills_at_effect_not_recorded": 1,
        "perdure_count_kills_at_nothing": 4,
    }


async def test_a_worker_that_ends_by_itself_is_told_with_what_it_said(tmp_path: Path) -> None:
    """Credentials that only the test has, a provider that is not installed: not to be found out after ten minutes."""
    (tmp_path / "torture").mkdir()
    async with SqliteHarness(tmp_path / "hub") as harness:
        addresses = replace(harness.addresses(), probe="no_such_module:watch")

        with pytest.raises(AssertionError, match=r"worker-0.*ended by themselves.*(?s:.*)No module named"):
            async with torture(harness, addresses, tmp_path / "torture") as place:
                place.start_worker()
                await place.commit(1)
