"""The report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_conformance._report.advice import advice_for
from perdure_conformance._report.counts import told
from perdure_conformance._report.documents import counts_of
from perdure_conformance._report.results import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure_conformance._report.results import BackendResult, ClauseResult, RunResult

__all__ = ["lines_of"]

TEXT_LENGTH_MAX = 72
NOTEWORTHY = (Verdict.BROKEN, Verdict.GAP, Verdict.NO_LONGER_A_GAP)


def lines_of(run: RunResult, *, whole: bool) -> Iterator[str]:
    """Write what a person wants to see at the end of a run.

    Args:
        run: What came of it.
        whole: Show each clause; otherwise only those that are not simply kept.
    """
    for backend in run.backends:
        yield _headline(backend)
        if backend.counts:
            yield f"  {told(backend.counts)}"
        shown = backend.clauses if whole else backend.with_verdict(*NOTEWORTHY)
        width = max((len(clause.id) for clause in shown), default=0)
        for clause in shown:
            yield _row(clause, width)
        for clause in backend.with_verdict(Verdict.BROKEN):
            yield from _explained(clause)


def _headline(backend: BackendResult) -> str:
    told = [(verdict, len(backend.with_verdict(verdict))) for verdict in Verdict]
    return f"{backend.name}: {', '.join(f'{count} {verdict}' for verdict, count in told if count)}"


def _row(clause: ClauseResult, width: int) -> str:
    passed, failed, skipped = counts_of(clause)
    text = clause.gap or clause.text
    text = text if len(text) <= TEXT_LENGTH_MAX else text[: TEXT_LENGTH_MAX - 1] + "…"
    counts = f"{passed:>3} passed {failed:>3} failed {skipped:>3} skipped"
    return f"  {clause.id:<{width}}  {clause.verdict:<15} {counts}  {text}"


def _explained(clause: ClauseResult) -> Iterator[str]:
    yield ""
    yield f"  {clause.id} is broken: {clause.text}"
    yield f"    What to do: {advice_for(clause.id)}"
    for result in clause.results:
        if result.outcome == "failed":
            yield f"    {result.test}"
            yield f"      Why it matters: {result.why}"
    yield ""
