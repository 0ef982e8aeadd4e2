"""README, followed to the letter by somebody who has nothing but it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
PATIENCE_SECONDS = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("readme")]


def blocks(language: str) -> list[str]:
    """Give README's code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def command(beginning: str) -> list[str]:
    """Find a `perdure` command of README, as it stands there."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    (found,) = {line for line in lines if line.startswith(beginning)}
    return [sys.executable, "-m", *shlex.split(found)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with README's first code block in shop.py."""
    (tmp_path / "shop.py").write_text(blocks("python")[0], "utf-8")
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}


@pytest.fixture
def first_run(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        command("perdure run shop:checkout --input"),
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield running
    running.kill()
    running.communicate()


def answer(arguments: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for_the_approval_to_be_awaited(folder: Path, environment: dict[str, str]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    show = [sys.executable, "-m", "perdure", "show", "order-4711", "--json"]
    while time.monotonic() < until:
        shown = subprocess.run(show, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if shown.returncode == 0 and json.loads(shown.stdout)["status"] == "Running":
            return
        time.sleep(0.1)
    pytest.fail(f"the process did not begin: {shown.stdout}{shown.stderr}")


def test_a_process_that_was_killed_goes_on_as_readme_says(
    folder: Path, environment: dict[str, str], first_run: subprocess.Popen[str]
) -> None:
    wait_for_the_approval_to_be_awaited(folder, environment)
    first_run.send_signal(signal.SIGKILL)
    assert first_run.wait() == -signal.SIGKILL

    shown = answer(command("perdure show order-4711"), folder, environment)
    answer(command("perdure send order-4711 approval"), folder, environment)
    result = answer(command("perdure run shop:checkout --id"), folder, environment)

    assert "Running" in shown
    assert json.loads(result) == "receipt for 4711, approved by Ada"


def test_the_program_with_hub_and_worker_runs(folder: Path, environment: dict[str, str]) -> None:
    (folder / "main.py").write_text(blocks("python")[1], "utf-8")

    assert answer([sys.executable, "main.py"], folder, environment) == "receipt for 4712, approved by Grace\n"


def test_the_demo_checks_what_it_says(folder: Path, environment: dict[str, str]) -> None:
    place = folder / "demo"

    told = answer([sys.executable, "-m", "perdure", "demo", "--folder", str(place)], folder, environment)

    assert "NOT SO" not in told
    issued = [json.loads(line) for line in (place / "ledger.jsonl").read_text("utf-8").splitlines()]
    assert sorted(entry["order"] for entry in issued if entry["what"] == "invoice issued") == ["4711", "4712", "4713"]
