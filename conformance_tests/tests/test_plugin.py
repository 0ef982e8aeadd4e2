"""The pytest plugin: clauses, gaps, profiles and report files of real runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from conftest import Author

FORGETFUL = """
    class Forgetful(MemoryStore):
        async def purge(self, key, expected):
            del self.histories._states[key]  # No tombstone.
            return (await super().purge(key, expected))

    class Broken(Mine):
        def make_store(self):
            return Forgetful(self.location, self.environment)

    class TestHistory(HistoryStoreContract):
        harness = Broken
"""

pytestmark = pytest.mark.slow

GAPS = """
    class Forgetful(MemoryStore):
        async def purge(self, key, expected):
            del self.histories._states[key]
            return (await super().purge(key, expected))

    class Partial(Mine):
        gaps = {"H6": "it forgets", "H1": "nobody has looked again"}

        def make_store(self):
            return Forgetful(self.location, self.environment)

    class TestHistory(HistoryStoreContract):
        harness = Partial
"""


def test_a_broken_clause_is_told_with_its_text_and_what_to_do(author: Author) -> None:
    run = author.run(FORGETFUL, "-k", "h6 or h1_")

    assert run.code == 1
    h6 = run.clause("H6")
    assert h6["verdict"] == "broken"
    assert h6["failed"] > 5
    assert "H6 is broken: Purge leaves a tombstone that knows the last version" in run.out
    assert f"What to do: {h6['to_do']}" in run.out
    assert h6["to_do"].startswith("Purge replaces the history by a tombstone")
    assert "Why it matters: A sweeper that fell asleep wakes when the id is in use again." in run.out
    markdown = (author.folder / "out" / "report.md").read_text("utf-8")
    assert "| H6 | broken |" in markdown
    assert "pytest 'test_mine.py::TestHistory::test_h6_a_late_purge_spares_the_new_incarnation'" in markdown


def test_what_was_not_run_is_not_called_kept(author: Author) -> None:
    run = author.run("class TestHistory(HistoryStoreContract):\n    harness = Mine\n", "-k", "h1_")

    assert run.code == 0
    assert (run.clause("H1")["verdict"], run.clause("H2")["verdict"]) == ("kept", "not run")
    badge = json.loads((author.folder / "out" / "badge.json").read_text("utf-8"))
    assert badge == {
        "schemaVersion": 1,
        "label": "perdure conformance",
        "message": "in part: 1 of 10 clauses",
        "color": "lightgrey",
    }


def test_a_declared_gap_is_a_skip_that_says_so_and_a_closed_one_is_noticed(author: Author) -> None:
    run = author.run(GAPS, "-k", "h6 or h1_", "-rs", "--junitxml=junit.xml")

    assert run.code == 0
    assert "declared gap H6: it forgets" in run.out
    h6, h1 = run.clause("H6"), run.clause("H1")
    assert (h6["verdict"], h6["gap"], h6["failed"]) == ("declared gap", "declared gap H6: it forgets", 0)
    assert h6["in_gap"] > 5
    assert (h1["verdict"], h1["in_gap"]) == ("no longer a gap", 0)
    junit = ET.parse(author.folder / "junit.xml")
    skipped = [case.findtext("skipped") for case in junit.iter("testcase") if case.find("skipped") is not None]
    assert len(skipped) == h6["in_gap"]
    assert junit.find(".//property[@name='perdure_clause'][@value='H6']") is not None


@pytest.mark.parametrize(
    ("gaps", "message"),
    [
        ('{"Q99": "none"}', "Odd.gaps names 'Q99', which is no clause: write one of H1, H2,"),
        ('{"Q9": ""}', "Odd.gaps['Q9'] has no reason: write what the backend lacks."),
    ],
)
def test_a_wrong_gap_is_refused(author: Author, gaps: str, message: str) -> None:
    run = author.run(
        f"""
    class Odd(Mine):
        gaps = {gaps}

    class TestQueue(WorkQueueContract):
        harness = Odd
        """
    )

    assert run.code == 4
    assert message in run.out


def test_a_contract_without_a_harness_is_refused(author: Author) -> None:
    run = author.run("class TestQueue(WorkQueueContract): ...\n")

    assert run.code == 4
    assert "test_mine.TestQueue has no harness to test with: write `harness = MyHarness`" in run.out


LEVELS = """
    class Model(Contract):
        level = 3

        async def test_random_calls(self, harness):
            '''The model agrees.'''

    class Scenarios(Contract):
        '''What orchestrations do.'''

        level = 5

        async def test_it_goes_on(self, harness):
            '''After a crash.'''

        @pytest.mark.perdure_level(8)
        async def test_a_thousand_seeds(self, harness):
            '''Same seed, same trace.'''

    class TestAll(Model, Scenarios):
        harness = Mine

    def test_of_something_else():
        pass
"""


@pytest.mark.parametrize(
    ("profile", "groups"),
    [
        ("quick", {"Scenarios": [5]}),
        ("standard", {"Model": [3], "Scenarios": [5]}),
        ("full", {"Model": [3], "Scenarios": [8, 5]}),
    ],
)
def test_a_profile_takes_its_levels(author: Author, profile: str, groups: dict[str, list[int]]) -> None:
    run = author.run(LEVELS, f"--perdure-profile={profile}")

    assert run.code == 0
    (backend,) = run.report["backends"]
    assert run.report["profile"] == profile
    assert {clause["id"]: [test["level"] for test in clause["tests"]] for clause in backend["clauses"]} == groups
    assert f"{sum(map(len, groups.values())) + 1} passed" in run.out
    assert run.clause("Scenarios")["text"] == "What orchestrations do."


@pytest.mark.slow
def test_what_test_processes_found_comes_together(author: Author) -> None:
    pytest.importorskip("xdist")

    run = author.run(GAPS, "-k", "h6 or h1_", "-p", "xdist", "-n", "2")

    assert run.code == 0
    assert run.clause("H6")["verdict"] == "declared gap"
    assert (run.clause("H6")["in_gap"], run.clause("H1")["passed"]) == (15, 4)


@pytest.mark.slow
def test_a_process_that_died_in_a_test_breaks_its_clause(author: Author) -> None:
    pytest.importorskip("xdist")
    deadly = """
    class Deadly(MemoryStore):
        async def purge(self, key, expected):
            import os
            os._exit(3)

    class Broken(Mine):
        def make_store(self):
            return Deadly(self.location, self.environment)

    class TestHistory(HistoryStoreContract):
        harness = Broken
    """

    run = author.run(deadly, "-k", "h6_a_purge_again or h1_", "-p", "xdist", "-n", "1")

    assert run.code == 1
    assert run.clause("H6")["verdict"] == "broken"
    assert run.clause("H1")["verdict"] == "kept"


def test_a_run_without_contracts_says_nothing_of_them(author: Author) -> None:
    run = author.run("def test_of_something_else(): pass\n")

    assert run.code == 0
    assert "profile" not in run.out
    assert not (author.folder / "out").exists()


def test_the_plugin_alone_imports_nothing_that_a_coverage_run_would_miss() -> None:
    program = "import pytest_perdure, sys; print([name for name in sys.modules if name.split('.')[0] == 'perdure'])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
