"""Trying mutants in child processes: one for providers and one for rules, side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from perdure_mutants._mutant import Mutant, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ROOT", "ChildFailedError", "try_all", "try_on"]

ROOT: Final = Path(__file__).parents[3]
STUCK_SECONDS: Final = 60.0
"""How long one mutant may take. Only one that never ends takes so long."""

LOOK_SECONDS: Final = 0.2
PROVIDER_TESTS: Final = (
    "core/tests/spi/test_conformance_of_memory.py",
    "core/tests/spi/test_outbox_crashes.py",
    "core/tests/spi/test_object_faults.py",
)
RULE_TESTS: Final = (
    "core/tests/engine",
    "core/tests/replay",
    "core/tests/client",
    "core/tests/worker",
    *PROVIDER_TESTS[2:],
)
QUIET: Final = ("-q", "--no-header", "--tb=no", "-W", "ignore", "-p", "no:randomly", "-p", "no:cacheprovider")
PLUGINS_OFF: Final = ("-p", "no:xdist", "-p", "no:cov")
PLUGINS: Final = (*PLUGINS_OFF, "-p", "perdure_mutants._one_test", "-p", "perdure_mutants._session")


class ChildFailedError(Exception):
    """The tests could not be run at all; the message is what pytest said."""


def try_all(mutants: Sequence[Mutant], report: Callable[[Verdict], None] = lambda _: None) -> list[Verdict]:
    """Try mutants.

    Args:
        mutants: Which.
        report: Called with each verdict as it comes, from other threads.

    Returns:
        One verdict per mutant, in order.

    Raises:
        ChildFailedError: Run the named tests by themselves to see what is wrong.
    """
    halves = (
        ([mutant for mutant in mutants if mutant.is_of_a_provider], PROVIDER_TESTS),
        ([mutant for mutant in mutants if not mutant.is_of_a_provider], RULE_TESTS),
    )
    with ThreadPoolExecutor(len(halves)) as pool:
        running = [pool.submit(try_on, half, tests, report) for half, tests in halves]
        found = {verdict.mutant: verdict for future in running for verdict in future.result()}
    return [found[mutant.name] for mutant in mutants]


def try_on(
    mutants: list[Mutant],
    tests: Sequence[str],
    report: Callable[[Verdict], None],
    stuck_seconds: float = STUCK_SECONDS,
) -> list[Verdict]:
    """Try mutants one after the other, in a new process whenever one has taken its process along.

    Args:
        mutants: Which.
        tests: Files and options for pytest.
        report: Called with each verdict as it comes.
        stuck_seconds: How long one mutant may take.

    Returns:
        One verdict per mutant, in order.

    Raises:
        ChildFailedError: Run the named tests by themselves to see what is wrong.
    """
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        file = Path(folder) / "verdicts.jsonl"
        while left := mutants[len(verdicts) :]:
            file.write_text("")
            said = _run_child(left, tests, _Follower(file, report), stuck_seconds)
            found = _read(file)
            if found is None:
                raise ChildFailedError(said)
            if len(found) < len(left):
                found.append(Verdict(left[len(found)].name, left[len(found)].expected, "died", how=said[-160:]))
                report(found[-1])
            verdicts += found
    return verdicts


class _Follower:
    """Tells of each verdict as soon as a child has written it."""

    def __init__(self, file: Path, report: Callable[[Verdict], None]) -> None:
        self.file = file
        self._report = report
        self._told = 0

    def look(self) -> bool:
        """Tell of what is new; False if nothing is."""
        new = (_read(self.file) or [])[self._told :]
        self._told += len(new)
        for verdict in new:
            self._report(verdict)
        return bool(new)


def _run_child(mutants: list[Mutant], tests: Sequence[str], follower: _Follower, stuck_seconds: float) -> str:
    """Run one child until it ends or is stuck; tell what it printed."""
    file = follower.file
    wanted = file.with_name("mutants.json")
    wanted.write_bytes(msgspec.json.encode(mutants))
    options = ("--mutants", str(wanted), "--verdicts", str(file))
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths), PYTHONDONTWRITEBYTECODE="1")
    with (file.parent / "output").open("w+") as output:
        child = subprocess.Popen(  # noqa: S603 - our own Python, our own plugin
            [sys.executable, "-m", "pytest", *QUIET, *PLUGINS, *options, *tests],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            _wait(child, follower, stuck_seconds)
        finally:
            child.kill()
            child.wait()
        follower.look()
        output.seek(0)
        return output.read()


def _wait(child: subprocess.Popen[bytes], follower: _Follower, stuck_seconds: float) -> None:
    """Wait until a child has ended, or has given no verdict for too long."""
    since = time.monotonic()
    while time.monotonic() - since < stuck_seconds:
        try:
            child.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            since = time.monotonic() if follower.look() else since
        else:
            return


def _read(file: Path) -> list[Verdict] | None:
    """Read the verdicts of a child, but for one that it is just writing; None if it never came so far as to begin."""
    *lines, _ = file.read_text(encoding="utf-8").split("\n")
    return [msgspec.json.decode(line, type=Verdict) for line in lines[1:]] if lines else None
