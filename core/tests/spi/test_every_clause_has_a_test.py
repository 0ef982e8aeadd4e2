"""Every numbered promise of `perdure.spi` has a contract test that is named after it, and the other way round."""

from __future__ import annotations

import inspect
import re

import pytest
from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract

from perdure.spi import Committer, HistoryStore, WorkQueue

PAIRS = [(HistoryStore, HistoryStoreContract), (WorkQueue, WorkQueueContract), (Committer, CommitterContract)]
BY_NAME = [pytest.param(*pair, id=pair[0].__name__) for pair in PAIRS]
TESTS_MIN = 2


def clauses_of(interface: type) -> list[str]:
    """List the clause numbers in an interface's docstring, such as H1."""
    return re.findall(r"^([HQC]\d+)\s", inspect.cleandoc(interface.__doc__ or ""), re.MULTILINE)


def names_in(contract: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test")]


@pytest.mark.parametrize(("interface", "contract"), BY_NAME)
def test_every_clause_has_tests(interface: type, contract: type) -> None:
    tests = names_in(contract)
    counts = {
        clause: sum(test.startswith(f"test_{clause.lower()}_") for test in tests) for clause in clauses_of(interface)
    }

    assert counts
    assert {clause: count for clause, count in counts.items() if count < TESTS_MIN} == {}


@pytest.mark.parametrize(("interface", "contract"), BY_NAME)
def test_every_test_is_of_a_clause(interface: type, contract: type) -> None:
    known = tuple(f"test_{clause.lower()}_" for clause in clauses_of(interface))

    assert [test for test in names_in(contract) if not test.startswith(known)] == []


@pytest.mark.parametrize(("interface", "contract"), BY_NAME)
def test_every_test_says_why_it_matters(interface: type, contract: type) -> None:
    del interface

    assert [test for test in names_in(contract) if not getattr(contract, test).__doc__] == []


def test_the_clauses_are_the_ones_of_the_design() -> None:
    numbers = {interface: clauses_of(interface) for interface, _ in PAIRS}

    assert numbers[HistoryStore] == [f"H{number}" for number in range(1, 11)]
    assert numbers[WorkQueue] == [f"Q{number}" for number in range(1, 12)]
    assert numbers[Committer] == [f"C{number}" for number in range(1, 7)]


def test_there_are_enough_of_them() -> None:
    assert sum(len(names_in(contract)) for _, contract in PAIRS) >= 150
