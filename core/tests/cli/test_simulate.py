"""`perdure simulate`, as a process: what it prints, its exit codes, and what only another process shows."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_SECONDS = 110

PERDURE = """
import sys

from perdure.cli._app import app
from perdure.cli._simulate import simulate

if "simulate" not in app.commands:
    app.add_command(simulate)
sys.exit(app.run())
"""

SHOP = """
    import asyncio, itertools

    from perdure import Event, activity, orchestration

    approved: Event[bool] = Event("approved")

    @activity
    async def pack(article: str) -> str:
        await asyncio.sleep(2)
        return article

    @activity
    def label(article: str) -> str:
        return article.upper()

    @orchestration
    async def ship(article: str) -> str:
        return await label(await pack(article))

    @orchestration
    async def approval() -> str:
        return "yes" if await approved() else "no"

    @activity
    async def hour() -> str:
        return "early" if asyncio.get_running_loop().time() < 10 else "late"

    @orchestration
    async def hurried() -> str:
        return await hour()

    runs = itertools.count()

    @orchestration
    async def fickle() -> str:
        return await (pack if next(runs) % 2 else label)("a") + await pack("b")

    @orchestration
    async def unordered() -> list[str]:
        return list(await asyncio.gather(*[pack(one) for one in {"abc", "def", "ghi", "jkl"}]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP), "utf-8")
    return tmp_path


def simulate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PERDURE, "simulate", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_code_that_is_right_passes_and_the_numbers_are_told(folder: Path) -> None:
    done = simulate(folder, "shop:ship", "--input", '"a-1"', "--seeds", "4", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    summed = json.loads(done.stdout)
    assert (summed["seeds"], summed["failures"]) == (4, 0)
    assert summed["faults"] > 0


def test_an_event_is_sent_to_every_instance(folder: Path) -> None:
    done = simulate(folder, "shop:approval", "--event", "approved=true", "--seed", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 seeds, 0 failed" in done.stdout


def test_a_failure_is_told_with_its_seed_and_faults_and_its_seed_fails_again(folder: Path) -> None:
    options = ("shop:hurried", "--instances", "1", "--workers", "2")
    found = simulate(folder, *options, "--seeds", "50", "--json")

    assert found.returncode == 1, found.stdout + found.stderr
    first = json.loads(found.stdout.splitlines()[0])
    again = simulate(folder, *options, "--seed", str(first["failed"]["seed"]))
    assert again.returncode == 1
    assert f"seed {first['failed']['seed']}: " in again.stdout
    assert all(fault["text"] in again.stdout for fault in first["failed"]["faults"])
    assert '\'sim-0\': "late", without faults "early"' in again.stdout
    assert 0 < len(first["smallest"]["faults"]) <= len(first["failed"]["faults"])
    assert "trace:" in again.stdout


def test_what_fails_without_any_fault_is_told_at_once(folder: Path) -> None:
    done = simulate(folder, "shop:fickle", "--instances", "1", "--any-result", "--seeds", "1")

    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("without faults: ")


def test_code_that_depends_on_the_order_of_a_set_is_found_by_other_hash_seeds(folder: Path) -> None:
    done = simulate(folder, "shop:unordered", "--seeds", "1")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "PYTHONHASHSEED=" in done.stdout
    assert "Sort before you loop" in done.stdout


def test_an_event_without_a_payload_is_refused_with_the_mend(folder: Path) -> None:
    done = simulate(folder, "shop:approval", "--event", "approved")

    assert done.returncode == 2
    assert "approved=null" in done.stderr
