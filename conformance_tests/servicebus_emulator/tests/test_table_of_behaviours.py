"""The table of behaviours in the documentation and the tests say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[3] / "docs" / "reference" / "servicebus-behaviours.md"
TESTS = Path(__file__).parent / "behaviours"
COLUMNS = 5

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="The table is in the repository, not in the distribution.")


def rows() -> list[list[str]]:
    """Give the rows that have an id: id, behaviour, source, imitated, test."""
    lines = TABLE.read_text("utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if re.match(r"\| [BN]\d\d ", line)]


def files_of_tests() -> dict[str, set[str]]:
    """Map the id of each row that has tests to their files."""
    found: dict[str, set[str]] = {}
    for file in TESTS.glob("test_*.py"):
        for number in re.findall(r"^(?:async )?def test_b(\d\d)_", file.read_text("utf-8"), re.MULTILINE):
            found.setdefault(f"B{number}", set()).add(file.name)
    return found


def test_every_row_is_whole_and_has_an_id_of_its_own() -> None:
    table = rows()

    assert {len(row) for row in table} == {COLUMNS}
    assert all(all(row) for row in table)
    ids = [row[0] for row in table]
    assert len(ids) == len(set(ids))


def test_every_imitated_row_has_its_test_where_it_says_so() -> None:
    told = {row[0]: {re.sub("`", "", row[4])} for row in rows() if row[3] == "yes"}

    assert told == files_of_tests()


def test_every_other_row_says_why_not() -> None:
    others = [row for row in rows() if row[3] != "yes"]

    assert others
    assert all(re.match(r"no: .", row[3]) and row[4] == "none" for row in others)
