"""The report of a run: collected from pytest, shown on the terminal, written as JSON, Markdown and a badge."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perdure_conformance._report.counts import counts_in
from perdure_conformance._report.documents import SCHEMA, as_badge, as_markdown, as_values
from perdure_conformance._report.results import Result, RunResult, put_together
from perdure_conformance._report.screen import lines_of

if TYPE_CHECKING:
    import pytest

__all__ = ["SCHEMA", "Collector"]

_WORSE = {"passed": 0, "skipped": 1, "gap": 2, "failed": 3}
DETAIL_LENGTH_MAX = 4000


class Collector:
    """What is known so far of the tests of contracts in one run.

    Args:
        profile: Name of the profile that the run takes.
    """

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._results: dict[str, Result] = {}

    def take(self, report: pytest.TestReport) -> None:
        """Take note of setup, call or teardown of a test; it ends as the worst of them."""
        found = self._result_of(report)
        if found is None:
            return
        known = self._results.get(found.test, found)
        worse = max(known, found, key=lambda result: _WORSE[result.outcome])
        seconds = found.seconds + (0.0 if known is found else known.seconds)
        # A later phase has the counts of those before it, too.
        self._results[found.test] = replace(worse, seconds=seconds, counts=found.counts or known.counts)

    def run_result(self) -> RunResult:
        """Put together what is known."""
        return put_together(self._results.values(), self._profile)

    def show(self, terminal: pytest.TerminalReporter) -> None:
        """Write the end of a run on the terminal: each clause if there is one backend or with -v, else what is odd."""
        run = self.run_result()
        terminal.write_sep("=", f"conformance, profile {self._profile}")
        whole = len(run.backends) == 1 or terminal.config.get_verbosity() > 0
        for line in lines_of(run, whole=whole):
            terminal.write_line(line)

    def write(self, folder: str) -> None:
        """Write the files of the report; the folder is made if it is not there."""
        run, place = self.run_result(), Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        files = {
            "report.json": _as_json(as_values(run)),
            "report.md": as_markdown(run),
            "badge.json": _as_json(as_badge(run)),
        }
        for name, text in files.items():
            (place / name).write_text(text, "utf-8")

    def _result_of(self, report: pytest.TestReport) -> Result | None:
        properties = {name: str(value) for name, value in report.user_properties}
        detail = _detail(report)
        if "perdure_clause" not in properties:
            # Another test; or the process in which this one ran is dead, and pytest-xdist knows only its name.
            known = self._results.get(report.nodeid)
            return known and replace(known, outcome=report.outcome, detail=detail, seconds=report.duration)
        gap = properties.get("perdure_gap", "")
        return Result(
            test=report.nodeid,
            harness=properties["perdure_harness"],
            clause=properties["perdure_clause"],
            about=properties["perdure_about"],
            why=properties["perdure_why"],
            level=int(properties["perdure_level"]),
            # Other skips of the same clause are about capabilities: they say nothing about the gap.
            outcome="gap" if gap and detail == gap else report.outcome,
            detail=detail,
            gap=gap,
            seconds=report.duration,
            counts=counts_in(report.user_properties),
        )


def _detail(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext[-DETAIL_LENGTH_MAX:]


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
