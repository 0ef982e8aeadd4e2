"""A process is killed while it carries the log into the database: what it carried stays in the log until it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Disk


@pytest.mark.parametrize("count", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_a_hub_whose_checkpoints_are_interrupted_again_and_again_loses_nothing(
    disk: Disk, tmp_path: Path, count: int
) -> None:
    """Pages of the database are half written then, each time others."""
    finished = disk.run("die_in_checkpoint.py", f"sqlite:{disk.folder / 'hub'}", tmp_path / "ledger", count)

    *ends, found = finished.stdout.splitlines()
    assert finished.returncode == 0, finished.stderr
    assert len(ends) == count
    assert set(ends) <= {"-9", "0"}
    assert ends.count("-9") > count / 2
    assert found == "all there"
