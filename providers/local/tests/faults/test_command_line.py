"""The command line, when the disk is at fault: one line that names the file and the mend, and exit code 4."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import pytest
import story

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from conftest import Disk

NO_HUB = 4
START = ("start", "story:errand", "--input", '{"number": 1}', "--id", "errand-1")


def perdure(disk: Disk, hub: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return disk.run("-m", "perdure", *arguments, "--hub", f"sqlite:{hub}")


def check_line(finished: subprocess.CompletedProcess[str], *words: str) -> None:
    assert finished.returncode == NO_HUB, finished
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    for word in words:
        assert word in line


@pytest.fixture
def hub(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a hub that was closed."""
    monkeypatch.setattr(story, "ledger", story.Ledger(tmp_path / "ledger"))
    asyncio.run(story.tell(f"sqlite:{disk.folder / 'hub'}", [7]))
    return disk.folder / "hub"


@pytest.mark.slow
def test_a_damaged_database_is_named_and_left_alone(disk: Disk, hub: Path) -> None:
    damaged = (hub / "hub.db").read_bytes()[:5000]
    (hub / "hub.db").write_bytes(damaged)

    check_line(perdure(disk, hub, "list"), str(hub / "hub.db"), "Restore the folder from a backup")

    assert (hub / "hub.db").read_bytes() == damaged


@pytest.mark.slow
@pytest.mark.parametrize(("error", "mend"), [(errno.ENOSPC, "free some space"), (errno.EIO, "system log")])
def test_a_disk_that_fails_is_named_and_the_command_works_once_it_is_mended(
    disk: Disk, hub: Path, error: int, mend: str
) -> None:
    disk.fail(error, "w")
    check_line(perdure(disk, hub, "list"), str(hub), mend)

    disk.mend()

    assert "errand-7" in perdure(disk, hub, "list").stdout


@pytest.mark.slow
def test_a_worker_says_so_and_ends(disk: Disk, hub: Path) -> None:
    """Whoever looks after it restarts it, and finds the line in its log."""
    (hub / "hub.db").write_bytes(b"")

    check_line(perdure(disk, hub, "worker", "story"), str(hub / "hub.db"), "Restore the folder from a backup")

    assert (hub / "hub.db").read_bytes() == b""


@pytest.mark.slow
def test_a_start_that_fails_says_so_in_one_line(disk: Disk, hub: Path) -> None:
    """The call that could not be started is nobody's mistake."""
    (hub / "hub.db").write_bytes(b"")

    check_line(perdure(disk, hub, *START), str(hub / "hub.db"), "Restore the folder from a backup")
