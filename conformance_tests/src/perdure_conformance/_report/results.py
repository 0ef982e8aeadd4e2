"""What came of the tests, put together by backend and clause. Pure: reports of pytest go in elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from perdure_conformance._report.clauses import CLAUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["BackendResult", "ClauseResult", "Result", "RunResult", "Verdict", "put_together"]

SCENARIOS = 5
"""Their level."""

Outcome = Literal["passed", "failed", "skipped", "gap"]


@dataclass(frozen=True, slots=True)
class Result:
    """One test.

    Attributes:
        test: Its node id.
        harness: Full name of the harness, which stands for the backend.
        clause: Number of the clause, or name of the group of scenarios.
        about: The clause's text.
        why: First line of the test's docstring.
        level: Of the suite.
        outcome: `gap`: it failed in a declared gap.
        detail: Why it was skipped or what failed; empty if it passed.
        gap: The declared gap that it falls into; empty for none.
        seconds: How long it took, with setup and teardown.
        counts: What it went through, by name.
    """

    test: str
    harness: str
    clause: str
    about: str
    why: str
    level: int
    outcome: Outcome
    detail: str = ""
    gap: str = ""
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])


class Verdict(StrEnum):
    """What is to be said of one clause."""

    BROKEN = "broken"
    GAP = "declared gap"
    NO_LONGER_A_GAP = "no longer a gap"
    KEPT = "kept"
    NOT_TRIED = "not tried"  # Everything was skipped: the backend does not declare what it is about.
    NOT_RUN = "not run"  # Its tests were not part of the run.


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """One clause on one backend."""

    id: str
    text: str
    results: tuple[Result, ...]

    def count(self, outcome: Outcome) -> int:
        """Count the tests that ended so."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def gap(self) -> str:
        """The declared gap, empty for none."""
        return next((result.gap for result in self.results if result.gap), "")

    @property
    def verdict(self) -> Verdict:
        """Judge."""
        if not self.results:
            return Verdict.NOT_RUN
        if self.count("failed"):
            return Verdict.BROKEN
        if self.count("gap"):
            return Verdict.GAP
        if self.gap:
            return Verdict.NO_LONGER_A_GAP if self.count("passed") else Verdict.GAP
        return Verdict.KEPT if self.count("passed") else Verdict.NOT_TRIED


@dataclass(frozen=True, slots=True)
class BackendResult:
    """All clauses on one backend."""

    harness: str
    clauses: tuple[ClauseResult, ...]

    @property
    def name(self) -> str:
        """The harness without its module."""
        return self.harness.rpartition(".")[2]

    @property
    def counts(self) -> dict[str, int]:
        """Sum up what its tests went through: the scenarios that passed, and whatever tests wrote down."""
        results = [result for clause in self.clauses for result in clause.results]
        scenarios = sum(result.level == SCENARIOS and result.outcome == "passed" for result in results)
        summed = sum((Counter(result.counts) for result in results), Counter[str]())
        return {**({"scenarios": scenarios} if scenarios else {}), **dict(sorted(summed.items()))}

    def with_verdict(self, *verdicts: Verdict) -> list[ClauseResult]:
        """List the clauses that are judged so."""
        return [clause for clause in self.clauses if clause.verdict in verdicts]


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run.

    Attributes:
        profile: Which levels were asked for.
        backends: By name.
    """

    profile: str
    backends: tuple[BackendResult, ...]

    @property
    def failures(self) -> list[Result]:
        """List every test that failed."""
        clauses = [clause for backend in self.backends for clause in backend.clauses]
        return [result for clause in clauses for result in clause.results if result.outcome == "failed"]

    def verdicts(self) -> Counter[Verdict]:
        """Count the clauses of all backends by verdict."""
        return Counter(clause.verdict for backend in self.backends for clause in backend.clauses)


def put_together(results: Iterable[Result], profile: str) -> RunResult:
    """Put tests together by backend and clause.

    Args:
        results: In any order.
        profile: Of the run.

    Returns:
        Backends by name; in each, the clauses of every interface that any test was about, in the order of the
        interfaces, then groups of scenarios by name.
    """
    backends: dict[str, list[Result]] = {}
    for result in results:
        backends.setdefault(result.harness, []).append(result)
    return RunResult(profile, tuple(_backend(harness, found) for harness, found in sorted(backends.items())))


def _backend(harness: str, results: list[Result]) -> BackendResult:
    by_clause: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: result.test):
        by_clause.setdefault(result.clause, []).append(result)
    tried = {CLAUSES[clause].interface for clause in by_clause if clause in CLAUSES}
    numbered = [clause.id for clause in CLAUSES.values() if clause.interface in tried]
    groups = sorted(clause for clause in by_clause if clause not in CLAUSES)
    return BackendResult(
        harness, tuple(_clause(clause, tuple(by_clause.get(clause, ()))) for clause in [*numbered, *groups])
    )


def _clause(clause: str, results: tuple[Result, ...]) -> ClauseResult:
    text = CLAUSES[clause].text if clause in CLAUSES else results[0].about
    return ClauseResult(clause, text, results)
