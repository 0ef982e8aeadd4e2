"""Which tests a run takes: a test has a level, a profile is a set of levels.

A test's level is that of its marker `perdure_level`, else `level` of the class that it is written in, or of a class
made from that one to have its tests run again in another way; else `level` of the class that collects it, else 0.
"""

from __future__ import annotations

import re
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from perdure_conformance._report.clauses import CLAUSES
from perdure_conformance.gaps import gap_of
from perdure_conformance.harness import Contract, Harness

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEVELS", "PROFILES", "mark"]

LEVELS = {
    0: "clauses",
    1: "limits",
    2: "races",
    3: "model",
    4: "linearizability",
    5: "scenarios",
    6: "faults",
    7: "crashes",
    8: "simulation",
    9: "wire faults",
    10: "mutants",
    11: "golden",
    12: "budgets",
}

_QUICK = frozenset({0, 1, 2, 5})
PROFILES = {"quick": _QUICK, "standard": _QUICK | {3, 4, 6, 7, 12}, "full": frozenset(LEVELS)}

_CLAUSE_TEST = re.compile(r"test_([a-z]+\d+)_")


def mark(items: Sequence[pytest.Item], profile: str) -> list[pytest.Item]:
    """Write clause, level, harness and gap into the properties of the tests of contracts; others are left alone.

    Args:
        items: Every test of the run.
        profile: A name of `PROFILES`.

    Returns:
        The tests whose level is not in the profile, and those that a contract with `one_in` above 1 leaves out.

    Raises:
        pytest.UsageError: A contract has no harness, or one that declares a gap in a clause that does not exist, or a
            level that does not exist.
    """
    left_out: list[pytest.Item] = []
    for item in items:
        contract = getattr(item, "cls", None)
        if isinstance(item, pytest.Function) and isinstance(contract, type) and issubclass(contract, Contract):
            level = _level_of(item, contract)
            item.user_properties += _properties(item, contract, level)
            if level not in PROFILES[profile] or zlib.crc32(item.name.encode()) % getattr(contract, "one_in", 1):
                left_out.append(item)
    return left_out


def _properties(item: pytest.Function, contract: type[Contract], level: int) -> list[tuple[str, object]]:
    harness = _harness_of(contract)
    group = _written_in(item, contract)
    found = _CLAUSE_TEST.match(item.name)
    again = getattr(contract, "again", "")
    clause = found[1].upper() if found and found[1].upper() in CLAUSES else f"{group.__name__} {again}".strip()
    about = CLAUSES[clause].text if clause in CLAUSES else _about(group)
    properties: dict[str, object] = {
        "perdure_clause": clause,
        "perdure_about": about,
        "perdure_why": _first_line(item.function.__doc__) or item.originalname.removeprefix("test_").replace("_", " "),
        "perdure_level": level,
        "perdure_harness": f"{harness.__module__}.{harness.__qualname__}",
    }
    if gap := gap_of(harness, clause):
        properties["perdure_gap"] = gap
    return list(properties.items())


def _harness_of(contract: type[Contract]) -> type[Harness]:
    harness = getattr(contract, "harness", None)
    if not (isinstance(harness, type) and issubclass(harness, Harness)):
        raise pytest.UsageError(
            f"{contract.__module__}.{contract.__name__} has no harness to test with: "
            "write `harness = MyHarness`, a subclass of perdure_conformance.Harness, in its body."
        )
    return harness


def _level_of(item: pytest.Function, contract: type[Contract]) -> int:
    marker = item.get_closest_marker("perdure_level")
    group = _written_in(item, contract)
    again = next((one for one in contract.__mro__ if "level" in vars(one) and issubclass(one, group)), group)
    of_class: object = getattr(again, "level", getattr(contract, "level", 0))
    level = marker.args[0] if marker and marker.args else of_class
    if not isinstance(level, int) or level not in LEVELS:
        raise pytest.UsageError(f"{item.nodeid} is of level {level!r}: write one of {min(LEVELS)} to {max(LEVELS)}.")
    return level


def _written_in(item: pytest.Function, contract: type[Contract]) -> type:
    return next((one for one in contract.__mro__ if item.originalname in one.__dict__), contract)


def _about(group: type) -> str:
    return _first_line(group.__doc__) or _first_line(sys.modules[group.__module__].__doc__)


def _first_line(docstring: str | None) -> str:
    return (docstring or "").strip().partition("\n")[0]
