"""The report, from values to text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure_conformance._report.advice import _BY_CLAUSE, _ELSE, advice_for
from perdure_conformance._report.clauses import CLAUSES
from perdure_conformance._report.documents import as_badge, as_markdown, as_values
from perdure_conformance._report.results import Result, Verdict, put_together
from perdure_conformance._report.screen import lines_of

if TYPE_CHECKING:
    from perdure_conformance._report.results import Outcome


def result(clause: str, outcome: Outcome = "passed", *, harness: str = "tests.Mine", **fields: str) -> Result:
    """Give the result of a test of a clause."""
    test = fields.pop("test", f"test_{clause.lower()}_{outcome}")
    told = {"about": "A group.", "why": "It matters."} | fields
    return Result(test=test, harness=harness, clause=clause, level=0, outcome=outcome, **told)


def verdict(*results: Result) -> Verdict:
    (backend,) = put_together(results, "quick").backends
    (found,) = [clause for clause in backend.clauses if clause.id == results[0].clause]
    return found.verdict


def all_kept() -> list[Result]:
    return [result(clause) for clause in CLAUSES]


def test_every_clause_of_the_interfaces_is_known_with_its_whole_text() -> None:
    assert len(CLAUSES) == 27
    assert CLAUSES["H2"].text.endswith("versions grow and are never reused: not by continue-as-new, not after purge.")
    assert CLAUSES["H10"].interface == "HistoryStore"
    assert CLAUSES["C6"].text.endswith("already holds a lease on (born leased).")


def test_there_is_advice_for_every_clause_and_no_other() -> None:
    assert _BY_CLAUSE.keys() == CLAUSES.keys()
    assert advice_for("TimerScenarios") == _ELSE


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result("H1"), result("H1", "skipped")], Verdict.KEPT),
        ([result("H1"), result("H1", "failed")], Verdict.BROKEN),
        ([result("H1", "skipped")], Verdict.NOT_TRIED),
        ([result("H1", gap="g"), result("H1", "gap", gap="g")], Verdict.GAP),
        ([result("H1", gap="g"), result("H1", "skipped", gap="g")], Verdict.NO_LONGER_A_GAP),
        ([result("H1", "skipped", gap="g")], Verdict.GAP),
        ([result("H1", "failed", gap="g")], Verdict.BROKEN),
    ],
)
def test_a_clause_is_judged_by_the_worst_that_happened(results: list[Result], expected: Verdict) -> None:
    assert verdict(*results) == expected


def test_clauses_that_had_no_test_are_listed_where_their_interface_was_tried() -> None:
    (backend,) = put_together([result("C2"), result("TimerScenarios")], "full").backends

    assert [clause.id for clause in backend.clauses] == ["C1", "C2", "C3", "C4", "C5", "C6", "TimerScenarios"]
    assert [clause.id for clause in backend.with_verdict(Verdict.NOT_RUN)] == ["C1", "C3", "C4", "C5", "C6"]


@pytest.mark.parametrize(
    ("more", "message", "color"),
    [
        ([], "27 clauses (quick)", "brightgreen"),
        ([result("Q9", "gap", gap="g")], "26 clauses, 1 gaps (quick)", "yellow"),
        ([result("Q9", "failed"), result("Q8", "failed")], "2 clauses broken", "red"),
        ([result("C1", harness="tests.Other")], "in part: 28 of 33 clauses", "lightgrey"),
    ],
)
def test_a_badge_says_no_more_than_was_seen(more: list[Result], message: str, color: str) -> None:
    badge = as_badge(put_together([*all_kept(), *more], "quick"))

    assert (badge["schemaVersion"], badge["message"], badge["color"]) == (1, message, color)


def test_values_hold_each_test_under_its_clause() -> None:
    broken = result("H2", "failed", test="test_h2_race", detail="assert 2 == 1")

    values = as_values(put_together([result("H1"), broken], "full"))

    assert (values["schema"], values["profile"]) == (1, "full")
    (backend,) = values["backends"]
    h1, h2 = backend["clauses"][:2]
    assert (h1["verdict"], h1["passed"], h1["to_do"]) == ("kept", 1, "")
    assert (h2["verdict"], h2["failed"], h2["to_do"]) == ("broken", 1, advice_for("H2"))
    assert h2["tests"] == [
        {
            "id": "test_h2_race",
            "level": 0,
            "why": "It matters.",
            "outcome": "failed",
            "detail": "assert 2 == 1",
            "seconds": 0.0,
        }
    ]


def test_markdown_tells_skips_with_their_reasons_and_failures_with_what_to_do() -> None:
    results = [
        result("C3", "skipped", detail="atomic | is not declared"),
        result("C1", "failed", detail="assert early"),
    ]

    text = as_markdown(put_together(results, "quick"))

    assert "| C3 | not tried | 0 | 0 | 1 | All or nothing where `capabilities.atomic`." in text
    assert r"(atomic \| is not declared) |" in text
    assert f"- **What to do:** {advice_for('C1')}" in text
    assert "```text\nassert early\n```" in text


def test_the_screen_is_short_unless_the_whole_is_wanted() -> None:
    run = put_together([*all_kept(), result("H7", "failed")], "quick")

    short, whole = list(lines_of(run, whole=False)), list(lines_of(run, whole=True))

    assert short[0] == "Mine: 1 broken, 26 kept"
    assert [line.split()[0] for line in short[1:2]] == ["H7"]
    assert f"    What to do: {advice_for('H7')}" in short
    assert len(whole) == len(short) + 26
