"""The locks of `file:` end with their holder, whatever becomes of it, and nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Unavailable
from perdure_local.file import _folder
from perdure_local.file._folder import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILD = Path(__file__).parent / "children" / "fork_within_lock.py"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has the lock and forks another one; neither outlives the test."""
    child = subprocess.Popen([sys.executable, CHILD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    forked = int(child.stdout.readline())
    yield child
    os.kill(forked, signal.SIGKILL)
    child.kill()
    child.communicate()


def test_a_lock_that_somebody_keeps_is_waited_for_only_so_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped in the middle of a call must not take the threads of all others along."""
    monkeypatch.setattr(_folder, "_PATIENCE_SECONDS", 0.2)

    with locked(path), pytest.raises(Unavailable, match="let it go on or end it"), locked(path):
        pass

    with locked(path):
        assert path.exists()


def test_those_who_share_a_lock_keep_out_only_who_does_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folder, "_PATIENCE_SECONDS", 0.2)

    with locked(path, shared=True), locked(path, shared=True), pytest.raises(Unavailable), locked(path):
        pass


def test_a_lock_ends_though_a_process_was_forked_within_it(path: Path, holder: subprocess.Popen[str]) -> None:
    """An activity that forks while another thread writes would block the hub for as long as its child lives."""
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "left\n"

    with locked(path):
        assert path.exists()


def test_a_lock_ends_with_a_killed_process_though_its_forked_child_lives(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    """Nobody gives the lock back then: it must end because nobody has its file open any more."""
    holder.kill()
    holder.wait()

    with locked(path):
        assert path.exists()
