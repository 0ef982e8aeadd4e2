"""A project folder with a module of a user's, and `perdure` as a process in it."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

if importlib.util.find_spec("click") is None or importlib.util.find_spec("rich") is None:
    collect_ignore_glob = ["test_*.py"]  # The command line is an extra.

SHOP = """
    import asyncio, os, time
    from pathlib import Path

    from perdure import Event, activity, orchestration

    payment: Event[int] = Event("payment")
    HERE = Path(__file__).parent

    @activity
    async def issue(order: str) -> str:
        with (HERE / "ledger").open("a") as ledger:
            ledger.write(order + "\\n")
        return f"INV-{order}"

    @activity
    def hold(order: str) -> str:
        (HERE / f"{order}.held").touch()
        while not (HERE / f"{order}.go").exists():
            time.sleep(0.01)
        return "held"

    @activity(queue="mail")
    async def mail(order: str) -> str:
        print("mailed", order)
        return os.environ.get("PYTHONHASHSEED", "")

    @orchestration
    async def quick(order: str) -> dict[str, str]:
        return {"invoice": await issue(order)}

    @orchestration
    async def invoicing(order: str) -> int:
        await issue(order)
        return await payment()

    @orchestration
    async def held(order: str) -> str:
        await issue(order)
        return await hold(order)

    @orchestration
    async def mailing(order: str) -> str:
        return await mail(order)

    @orchestration
    async def failing(order: str) -> None:
        try:
            raise KeyError(order)
        except KeyError as cause:
            raise RuntimeError("no stock\\nat all") from cause
"""

LIMIT_SECONDS = 60


@dataclass
class Project:
    """A folder that somebody works in."""

    folder: Path
    environ: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def begin(self, *arguments: str, input: str = "") -> subprocess.Popen[str]:
        """Begin `perdure` with these arguments."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-m", "perdure", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        self.running.append(process)
        assert process.stdin is not None
        process.stdin.write(input)
        process.stdin.close()
        process.stdin = None
        return process

    def perdure(self, *arguments: str, input: str = "") -> Ended:
        """Run `perdure` to its end."""
        return ended(self.begin(*arguments, input=input))

    def ok(self, *arguments: str) -> str:
        """Run `perdure`, which succeeds and has nothing to say on stderr, and give its output."""
        done = self.perdure(*arguments)
        assert (done.code, done.err) == (0, "")
        return done.out

    def wait_for(self, name: str) -> None:
        """Wait until a file exists."""
        wait_until((self.folder / name).exists)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process."""
    out, err = process.communicate(timeout=LIMIT_SECONDS)
    return Ended(process.returncode, out, err)


def wait_until(condition: Callable[[], bool]) -> None:
    """Look until something is so."""
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A folder with shop.py, where PERDURE_* is not set."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP), "utf-8")
    unset = ("PERDURE_", "PYTHONHASHSEED", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    made = Project(tmp_path, {**environ, "PERDURE_WORKER_LEASE_SECONDS": "2", "TZ": "UTC"})
    yield made
    for process in made.running:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()
