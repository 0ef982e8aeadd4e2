"""The suite's pytest plugin: profiles, declared gaps, and a report by clause in any run that holds tests of contracts.

It is beside the package `perdure_conformance`, and imports it only when a run holds contracts: pytest loads this module
in every run, before coverage measures anything, and what it loads along would count as never run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from perdure_conformance.report import Collector

__all__ = ["Contracts", "pytest_addoption", "pytest_configure"]

PROFILE_NAMES = ("quick", "standard", "full")
LEVEL_MARKER = "perdure_level(number): the level of the conformance suite that a test belongs to"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--perdure-profile` and `--perdure-report`."""
    group = parser.getgroup("perdure", "conformance of a Perdure backend")
    group.addoption(
        "--perdure-profile",
        choices=PROFILE_NAMES,
        default="full",
        help="Levels of the contracts to run: quick (0-2, 5), standard (also 3, 4, 6, 7, 12), full (all; the default).",
    )
    group.addoption(
        "--perdure-report", metavar="DIR", help="Write report.json, report.md and badge.json into this folder."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker, and begin to listen."""
    config.addinivalue_line("markers", LEVEL_MARKER)
    config.pluginmanager.register(Contracts(config), "perdure contracts")


class Contracts:
    """What is known of the contracts in one run of pytest: nothing, until it turns out to hold some."""

    def __init__(self, config: pytest.Config) -> None:
        self._profile: str = config.getoption("--perdure-profile")
        self._folder: str | None = config.getoption("--perdure-report")
        # With pytest-xdist, each worker marks its tests; what they answered comes together where no worker is.
        self._reports = not hasattr(config, "workerinput")
        self._collector: Collector | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Say of each test of a contract which clause it is about, and leave out what the profile leaves out."""
        if "perdure_conformance.harness" not in sys.modules:
            return
        from perdure_conformance import profiles  # noqa: PLC0415 - see the head of this file

        left_out = profiles.mark(items, self._profile)
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            gone = set(left_out)
            items[:] = [item for item in items if item not in gone]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Make a failure in a declared gap a skip that says so."""
        report = yield
        gap = dict(item.user_properties).get("perdure_gap")
        # An error while the harness closes is not about the clause: it stays one.
        if gap and report.failed and call.when != "teardown":
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (path, (line or 0) + 1, f"Skipped: {gap}")
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a test of a contract, wherever it ran."""
        if not self._reports:
            return
        if self._collector is None and any(name == "perdure_clause" for name, _ in report.user_properties):
            from perdure_conformance.report import Collector  # noqa: PLC0415 - see the head of this file

            self._collector = Collector(self._profile)
        if self._collector is not None:
            self._collector.take(report)

    def pytest_sessionfinish(self) -> None:
        """Write the files of the report."""
        if self._collector is not None and self._folder:
            self._collector.write(self._folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the clauses."""
        if self._collector is not None:
            self._collector.show(terminalreporter)
