"""MemoryObjects keeps every promise of ConditionalObjects, and every promise has tests that are named after it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from perdure_conformance.objects import ObjectsContract, ObjectsHarness

from perdure.spi import ConditionalObjects, MemoryObjects, ObjectsCapabilities

if TYPE_CHECKING:
    from pathlib import Path

TESTS_MIN = 2


class SmallObjects(MemoryObjects):
    """Its largest object is one that a test can afford."""

    capabilities = ObjectsCapabilities(object_bytes_max=2 * 2**20, server_time=False)


class MemoryHarness(ObjectsHarness):
    """Objects in a dict."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stored: dict[str, bytes] = {}

    def make_objects(self) -> ConditionalObjects:
        return SmallObjects(self._stored)


class TestObjects(ObjectsContract):
    harness = MemoryHarness


CLAUSES = re.findall(r"^(O\d+)\s", inspect.cleandoc(ConditionalObjects.__doc__ or ""), re.MULTILINE)
TESTS = [name for name, _ in inspect.getmembers(ObjectsContract, inspect.isfunction) if name.startswith("test")]


def test_every_clause_has_tests() -> None:
    counts = {clause: sum(test.startswith(f"test_{clause.lower()}_") for test in TESTS) for clause in CLAUSES}

    assert list(counts) == ["O1", "O2", "O3", "O4", "O5"]
    assert {clause: count for clause, count in counts.items() if count < TESTS_MIN} == {}


def test_every_test_is_of_a_clause_and_says_why_it_matters() -> None:
    known = tuple(f"test_{clause.lower()}_" for clause in CLAUSES)

    assert [test for test in TESTS if not test.startswith(known)] == []
    assert [test for test in TESTS if not getattr(ObjectsContract, test).__doc__] == []
