"""Mutants: faults that are planted on purpose, so that clauses and rules are seen to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "conformance_tests" / "mutants"
sys.path.insert(0, str(FOLDER))

from perdure_mutants import MUTANTS, Edit, Mutant, try_all  # noqa: E402 - found only now
from perdure_mutants._changes import changes_of  # noqa: E402 - found only now
from perdure_mutants._plant import MisplacedError, planted  # noqa: E402 - found only now

RULES_WITHOUT_MUTANTS = {
    "R7": "continue-as-new is not there yet",
    "R12": "a table of what the sweeper repairs, which is not there yet",
}
A_FEW = (
    "the compare-and-append ignores a stale version",
    "a version is used again after a purge",
    "keys are case-folded",
    "a payload is overwritten",
    "a lease is shared",
    "the delivery count is stuck",
    "an outbox is sent before its append",
    "inputs are completed before the outbox is sent",
    "a parent is not told that an id is taken",
)


def clauses() -> set[str]:
    counts = {"H": 10, "Q": 11, "C": 6}
    return {f"{letter}{number}" for letter, count in counts.items() for number in range(1, count + 1)}


def test_every_clause_and_every_rule_in_force_has_a_mutant() -> None:
    rules = {f"R{number}" for number in range(1, 20)} - RULES_WITHOUT_MUTANTS.keys()

    assert (clauses() | rules) - {mutant.expected for mutant in MUTANTS} == set()


def test_there_are_enough_of_them_and_no_two_have_one_name() -> None:
    names = {mutant.name for mutant in MUTANTS}

    assert len(names) == len(MUTANTS) >= 60


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_mutant_fits_the_source_and_is_gone_afterwards(mutant: Mutant) -> None:
    with planted(mutant):
        pass
    with planted(mutant):  # what it looks for is there again
        pass


def test_a_mutant_that_does_not_fit_says_where() -> None:
    """Otherwise a change of the source would turn it into one that nothing can catch."""
    lost = Mutant("lost", "H2", "", (Edit("perdure.memory._histories:Histories.append", "no such text", ""),))

    with pytest.raises(MisplacedError, match="'no such text' 0 times"), planted(lost):
        pass


def test_a_few_broken_providers_are_caught_and_what_breaks_nothing_or_only_stumbles_is_not() -> None:
    """A runner that called everything caught would prove nothing."""
    where, found = "perdure.memory._histories:Histories.append", "self.changes.wake(append.key)"
    harmless = Mutant("harmless", "H2", "", (Edit(where, found, f"{found}  # and no more"),))
    clumsy = Mutant("clumsy", "H2", "", (Edit(where, found, "no_such_name()"),))

    verdicts = try_all([*(mutant for mutant in MUTANTS if mutant.name in A_FEW), harmless, clumsy])

    expected = dict.fromkeys(A_FEW, "caught") | {"harmless": "survived", "clumsy": "broken"}
    assert {verdict.mutant: verdict.outcome for verdict in verdicts} == expected


MODULE = """
class Shop:
    def sell(self, item):
        '''Sell it.'''
        if item not in self.stock:
            _log.info("%s is sold out", item)
            return None
        count = self.stock[item]
        self.stock[item] = count - 1
        del count
        self.told([each for each in self.waiting if each.item == item])
        return item
"""
CHANGES = [
    "shop.py:5 turned round: item not in self.stock",
    "shop.py:9 dropped: self.stock[item] = count - 1",
    "shop.py:11 dropped: self.told([each for each in self.waiting if each.item == item])",
    "shop.py:12 dropped: return item",
    "shop.py:7 dropped: return None",
    "shop.py:11 turned round: each.item == item",
]


def test_by_machine_every_condition_is_turned_round_and_every_statement_that_does_something_is_dropped(
    tmp_path: Path,
) -> None:
    """Not what is only said: docstrings, and what goes to a log."""
    (tmp_path / "shop.py").write_text(MODULE)

    changes = list(changes_of(tmp_path / "shop.py", "shop"))

    assert [change.mutant.name for change in changes] == CHANGES
    assert [change.mutant.plants[0].where for change in changes] == ["shop:Shop.sell"] * len(changes)
    assert len({change.digest for change in changes}) == len(changes)
    turned = changes[0].mutant.plants[0].new
    assert "if not item not in self.stock:" in turned


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_made_by_machine_is_killed_by_the_tests_that_reach_it_or_survives(tmp_path: Path) -> None:
    """And what was killed is not tried again."""
    command = [sys.executable, "-m", "perdure_mutants.machine", "memory", "--verdicts", str(tmp_path / "verdicts")]
    command += ["--only", "_waiting.py:37", "_plugin.py:43"]
    environment = dict(os.environ, PYTHONPATH=str(FOLDER))

    said = [subprocess.run(command, env=environment, capture_output=True, text=True, check=False) for _ in range(2)]

    first, second = (each.stdout for each in said)
    assert "1 of 2 killed, 1 of them by the contracts" in first
    assert "1 of 2 killed, 1 of them by the contracts" in second
    assert [each.count("\nkilled") + each.startswith("killed") for each in (first, second)] == [1, 0]
    assert [each.returncode for each in said] == [1, 1], "more than a tenth survived"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_mutant_is_caught_by_its_clause_or_rule() -> None:
    verdicts = try_all(MUTANTS)

    assert [verdict for verdict in verdicts if verdict.outcome != "caught"] == []
