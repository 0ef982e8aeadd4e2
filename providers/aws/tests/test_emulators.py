"""What starts emulators shows why one did not start, and leaves none behind."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from perdure_conformance.emulators import ServerDidNotStart, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path


def server_of(folder: Path, program: str, *, start_seconds: float = 60) -> ServerProcess:
    return ServerProcess(
        "server",
        lambda _: [sys.executable, "-I", "-c", program],
        folder=folder,
        environment=lambda _: {},
        is_ready=lambda _: (folder / "ready").exists(),
        start_seconds=start_seconds,
    )


def test_a_server_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    server = server_of(tmp_path, "raise SystemExit('no such option')")

    with pytest.raises(ServerDidNotStart, match=r"server ended(.|\n)*no such option"):
        server.start()


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    server = server_of(tmp_path, "import time; time.sleep(600)", start_seconds=0.3)

    with pytest.raises(ServerDidNotStart, match=r"not ready within 0\.3 s"):
        server.start()


def test_a_server_is_gone_when_it_is_left(tmp_path: Path) -> None:
    program = "import os, time; open('pid', 'w').write(str(os.getpid())); open('ready', 'w').close(); time.sleep(600)"

    with server_of(tmp_path, program):
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, 0)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
