"""One call to the disk fails, whichever it is: what was acknowledged is there, and the work is finished later."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Disk

CLEAR = ("Unavailable: ", "Corrupt: ", "Misuse: ", "Unknown: ")
"""How an end must begin that is not the end of the story: with a kind that says what to do."""


def fail_each(disk: Disk, ledgers: Path, error: int, kinds: str, *, step: int) -> list[dict[str, Any]]:
    """Let every so manieth call fail, each in the life of a hub of its own; the first row is of one without a fault."""
    ledgers.mkdir()
    finished = disk.run("fail_each_call.py", ledgers, error, kinds, step)
    assert finished.returncode == 0, finished.stderr
    first, *rows = map(json.loads, finished.stdout.splitlines())
    assert not first["failed"]
    assert (first["end"], first["wrong"], first["left"]) == ("told", "", [])
    assert len(rows) == len(range(1, first["count"] + 1, step))
    return rows


def check(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert row["codes"] == [0, 0], row
        assert row["end"] == "told" or row["end"].startswith(CLEAR), row
        assert row["wrong"] == "", row
        assert row["left"] == [], row


def test_whatever_call_fails_once_nothing_that_was_acknowledged_is_lost(disk: Disk, tmp_path: Path) -> None:
    """The worker goes on, or ends with an error that says what to do; and the next one finishes the work."""
    rows = fail_each(disk, tmp_path / "ledgers", errno.EIO, "rwston", step=30)

    check(rows)
    assert sum(row["failed"] for row in rows) >= len(rows) - 1, "the story makes about as many calls each time"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("error", "kinds", "step"), [(errno.ENOSPC, "w", 14), (errno.EIO, "rwston", 7)], ids=["full", "broken"]
)
def test_many_a_single_call_may_fail(disk: Disk, tmp_path: Path, error: int, kinds: str, step: int) -> None:
    """The same for many more; with step 1, for each: about 210 calls, a minute."""
    rows = fail_each(disk, tmp_path / "ledgers", error, kinds, step=step)

    check(rows)
    assert {row["end"] == "told" for row in rows} == {True, False}
