"""The pytest that runs the contracts: a process of its own, where assertions are rewritten before they are imported."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perdure_conformance._run import contracts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REPORT", "run_contracts"]

REPORT = "report.json"

SETTINGS = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""
"""Instead of whatever pytest would find in the folder that the command is given in."""

TESTS = """\
from {module} import contracts_of

globals().update(contracts_of{values!r})
"""

EXIT_CODES = {
    pytest.ExitCode.OK: 0,
    pytest.ExitCode.TESTS_FAILED: 1,
    pytest.ExitCode.INTERRUPTED: 130,
    pytest.ExitCode.USAGE_ERROR: 2,
    pytest.ExitCode.NO_TESTS_COLLECTED: 2,
}
INTERNAL = 70


def run_contracts(
    store: str,
    queue: str,
    *,
    profile: str,
    moment_seconds: float | None,
    folder: Path | None,
    arguments: Sequence[str] = (),
    quiet: bool = False,
) -> int:
    """Run every contract on two URLs.

    Args:
        store: With `{unique}` in it.
        queue: With `{unique}` in it.
        profile: A name of `PROFILES`.
        moment_seconds: `Harness.moment`; None for what is usual.
        folder: Where the report goes; None for no report.
        arguments: Further arguments for pytest.
        quiet: Whether what pytest writes goes to stderr.

    Returns:
        An exit code of the command line: 0 if every test passed or was skipped, 1 if one failed.
    """
    with tempfile.TemporaryDirectory(prefix="perdure-conformance-") as place:
        settings = Path(place, "pytest.ini")
        settings.write_text(SETTINGS, "utf-8")
        tests = Path(place, "contracts.py")
        tests.write_text(TESTS.format(module=contracts.__name__, values=(store, queue, moment_seconds)), "utf-8")
        command = [
            *(sys.executable, "-m", "pytest", str(tests), "-q", "--tb=short", "--import-mode=importlib"),
            *("-c", str(settings), "--rootdir", place, "-p", "no:cacheprovider"),
            *("--perdure-profile", profile),
            *(("--perdure-report", str(folder.absolute())) if folder else ()),
            *arguments,
        ]
        done = subprocess.run(command, stdout=sys.stderr if quiet else None, check=False)  # noqa: S603
    return EXIT_CODES.get(pytest.ExitCode(done.returncode), INTERNAL) if done.returncode in range(6) else INTERNAL
