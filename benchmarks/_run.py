"""Runs measurements, each in a fresh process and a fresh folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from _numbers import Number
from _plan import Task
from _python import command, environment

if TYPE_CHECKING:
    from _plan import Size

LIMIT_SECONDS = 900.0
"""Of one measurement. Slow is no failure; hanging is one."""


class MeasurementError(Exception):
    """A measurement gave no numbers. Do: read what it wrote, which is in the text, and run it alone."""


def run_in_child(measurement: str, scheme: str, size: Size, place: Path) -> list[Number]:
    """Measure in a fresh process and a fresh folder, which is removed afterwards.

    Args:
        measurement: By name.
        scheme: Of the hub.
        size: How much to run.
        place: Folder to make the fresh folder in.

    Raises:
        MeasurementError: It failed or did not end; go on with the next one.
    """
    scratch = Path(tempfile.mkdtemp(prefix=f"perdure-{measurement}-", dir=place))
    try:
        hubs = scratch / "hubs"
        hubs.mkdir()
        task = Task(measurement=measurement, scheme=scheme, folder=str(hubs), size=size)
        (scratch / "task.json").write_bytes(msgspec.json.encode(task))
        _run(scratch, measurement)
        return msgspec.json.decode((scratch / "numbers.json").read_bytes(), type=list[Number])
    finally:
        shutil.rmtree(scratch)


def _run(scratch: Path, measurement: str) -> None:
    with (scratch / "errors.txt").open("w+b") as errors:
        child = subprocess.Popen(
            command("_child.py", str(scratch / "task.json"), str(scratch / "numbers.json")),
            cwd=scratch,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # a group of its own: what it started ends with it
        )
        try:
            status = child.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise MeasurementError(f"{measurement} did not end within {LIMIT_SECONDS:g} s.") from None
        finally:
            _end_group(child)
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace")
    if status:
        raise MeasurementError(f"{measurement} ended with status {status}:\n{said[-4000:]}")
    if said:
        sys.stderr.write(f"{measurement} wrote:\n{said[-4000:]}\n")


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a child and what it has started."""
    with contextlib.suppress(ProcessLookupError):  # all of them have ended by themselves
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
