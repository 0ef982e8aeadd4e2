"""The files of a report: values in, text out."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from perdure_conformance._report.advice import advice_for
from perdure_conformance._report.counts import told
from perdure_conformance._report.results import Verdict

if TYPE_CHECKING:
    from perdure_conformance._report.results import BackendResult, ClauseResult, Result, RunResult

__all__ = ["SCHEMA", "as_badge", "as_markdown", "as_values", "counts_of"]

SCHEMA = 1
"""Of report.json: grows when a field changes its meaning or goes; new fields may come at any time."""

RIGHT = (Verdict.KEPT, Verdict.NOT_TRIED, Verdict.NO_LONGER_A_GAP)


def as_values(run: RunResult) -> dict[str, Any]:
    """Give the content of report.json."""
    return {
        "schema": SCHEMA,
        "profile": run.profile,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "backends": [
            {
                "harness": backend.harness,
                "counts": backend.counts,
                "clauses": [_clause_values(clause) for clause in backend.clauses],
            }
            for backend in run.backends
        ],
    }


def _clause_values(clause: ClauseResult) -> dict[str, Any]:
    return {
        "id": clause.id,
        "text": clause.text,
        "verdict": clause.verdict.value,
        "passed": clause.count("passed"),
        "failed": clause.count("failed"),
        "skipped": clause.count("skipped"),
        "in_gap": clause.count("gap"),
        "gap": clause.gap,
        "to_do": advice_for(clause.id) if clause.verdict == Verdict.BROKEN else "",
        "tests": [_test_values(result) for result in clause.results],
    }


def _test_values(result: Result) -> dict[str, Any]:
    return {
        "id": result.test,
        "level": result.level,
        "why": result.why,
        "outcome": result.outcome,
        "detail": result.detail,
        "seconds": round(result.seconds, 3),
    }


def as_badge(run: RunResult) -> dict[str, Any]:
    """Give the content of badge.json, as shields.io reads an endpoint."""
    count = run.verdicts()
    right, gaps = sum(count[verdict] for verdict in RIGHT), count[Verdict.GAP]
    if count[Verdict.BROKEN]:
        message, color = f"{count[Verdict.BROKEN]} clauses broken", "red"
    elif count[Verdict.NOT_RUN]:
        message, color = f"in part: {right} of {count.total()} clauses", "lightgrey"
    elif gaps:
        message, color = f"{right} clauses, {gaps} gaps ({run.profile})", "yellow"
    else:
        message, color = f"{right} clauses ({run.profile})", "brightgreen"
    return {"schemaVersion": 1, "label": "perdure conformance", "message": message, "color": color}


def as_markdown(run: RunResult) -> str:
    """Give the content of report.md: a table per backend, then what failed and what to do."""
    parts = [f"# Conformance, profile {run.profile}", *(_table(backend) for backend in run.backends)]
    if run.failures:
        parts += ["## What failed", *(_failure(result) for result in run.failures)]
    return "\n\n".join(parts) + "\n"


def _table(backend: BackendResult) -> str:
    rows = [
        f"| {clause.id} | {clause.verdict} | {' | '.join(map(str, counts_of(clause)))} | {_cell(_remark(clause))} |"
        for clause in backend.clauses
    ]
    head = ["| clause | verdict | passed | failed | skipped | what |", "|---|---|--:|--:|--:|---|"]
    counts = [f"{told(backend.counts)}.", ""] if backend.counts else []
    return "\n".join([f"## {backend.name}", "", *counts, *head, *rows])


def counts_of(clause: ClauseResult) -> tuple[int, int, int]:
    """Count the passed, failed and skipped tests of a clause; those in a declared gap are skipped ones."""
    return clause.count("passed"), clause.count("failed"), clause.count("skipped") + clause.count("gap")


def _remark(clause: ClauseResult) -> str:
    skipped = dict.fromkeys(result.detail for result in clause.results if result.outcome == "skipped")
    reasons = [clause.gap] if clause.gap else list(skipped)
    return f"{clause.text} ({'; '.join(reasons)})" if reasons else clause.text


def _failure(result: Result) -> str:
    lines = [
        f"### {result.clause}: `{result.test}`",
        f"- **Promised:** {result.about}",
        f"- **Why it matters:** {result.why}",
        f"- **What to do:** {advice_for(result.clause)}",
        f"- **Alone:** `pytest '{result.test}'`",
    ]
    return "\n".join([lines[0], "", *lines[1:], "", "```text", result.detail, "```"])


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
