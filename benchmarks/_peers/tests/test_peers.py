"""What peers.py concludes from rounds, that its workloads run, and that nothing it started outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # peers.py itself adds the folder of the scripts.

import peers
import report
import systems
import workloads

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[1]
GONE_SECONDS_MAX = 20.0


def row(system: str, run: str, number: int, variant: str = "async", **figures: float) -> dict[str, Any]:
    return {"system": system, "run": run, "round": number, "variant": variant, **figures}


def rates(system: str, *values: float, run: str = "W4", variant: str = "async") -> list[dict[str, Any]]:
    return [row(system, run, number, variant, steps_per_second=value) for number, value in enumerate(values, 1)]


def line(figures: list[dict[str, Any]], run: str) -> dict[str, Any]:
    (found,) = [one for one in report.summarize(figures) if one["run"] == run]
    return found


def test_the_median_counts_and_the_range_is_kept() -> None:
    cell = line(rates("perdure", 900, 100, 300), "W4")["systems"]["perdure"]

    assert (cell["median"], cell["lowest"], cell["highest"], cell["rounds"]) == (300, 100, 900, 3)


def test_a_ratio_above_one_means_that_ours_is_better_in_rates() -> None:
    systems_ = line([*rates("perdure", 600), *rates("dbos", 200)], "W4")["systems"]

    assert systems_["dbos"]["ratio"] == pytest.approx(3)


def test_a_ratio_above_one_means_that_ours_is_better_in_times() -> None:
    figures = [row("perdure", "W3", 1, seconds=2.0), row("dbos", "W3", 1, seconds=8.0)]

    assert line(figures, "W3")["systems"]["dbos"]["ratio"] == pytest.approx(4)


def test_a_ratio_below_one_says_that_ours_is_worse() -> None:
    systems_ = line([*rates("perdure", 200), *rates("restate", 800)], "W4")["systems"]

    assert systems_["restate"]["ratio"] == pytest.approx(0.25)
    assert report.ratio_text(systems_["restate"]) == "0.25 x"


def test_the_better_variant_counts_by_rate() -> None:
    figures = [*rates("dbos", 100, variant="def"), *rates("dbos", 120, variant="async")]

    assert line(figures, "W4")["systems"]["dbos"]["variant"] == "async"


def test_the_better_variant_counts_by_time() -> None:
    figures = [row("dbos", "W6", 1, "def", seconds=10.0), row("dbos", "W6", 1, "async", seconds=20.0)]

    assert line(figures, "W6")["systems"]["dbos"]["variant"] == "def"


def test_every_line_of_a_run_speaks_of_the_same_variant() -> None:
    """The memory of one way to write a workflow beside the speed of another would be a system that there is not."""
    quick = row("dbos", "W1", 1, "def", steps_per_second=200, rss_mib=90)
    slim = row("dbos", "W1", 1, "async", steps_per_second=100, rss_mib=40)

    cells = [one["systems"]["dbos"] for one in report.summarize([quick, slim])]

    assert [(cell["variant"], cell["median"]) for cell in cells] == [("def", 200), ("def", 90)]


def test_a_variant_with_all_rounds_is_not_replaced_by_the_luck_of_one() -> None:
    figures = [*rates("dbos", 100, 90, 95, variant="def"), *rates("dbos", 99, variant="async")]

    assert line(figures, "W4")["systems"]["dbos"]["variant"] == "def"


def test_the_long_run_of_ours_is_compared_with_the_short_one_of_the_peers() -> None:
    figures = [*rates("perdure", 500, run="W1-long"), *rates("dbos", 100, run="W1")]
    figures = [one | {"rss_mib": 1.0} for one in figures]

    assert line(figures, "W1-long")["systems"]["dbos"]["ratio"] == pytest.approx(5)


def test_a_missing_system_leaves_a_gap_and_no_ratio() -> None:
    result = {
        "rounds": 1,
        "machine": {
            "cpus": 2,
            "system": "Linux",
            "python": "3.11",
            "fdatasync_p50_ms": 1.0,
            "load_before": 0.0,
            "load_after": 0.0,
        },
        "systems": {name: {"durability": "on"} for name in ("perdure", "dbos")},
        "left_out": {"restate": "cannot be installed: no npm"},
        "failures": [{"run": "W4", "system": "dbos", "variant": "def", "round": 1, "why": "It took more than 300 s."}],
        "summary": report.summarize(rates("perdure", 600)),
        "figures": rates("perdure", 600),
    }

    text = report.table(result)

    (shown,) = [one for one in text.splitlines() if one.startswith("W4")]
    assert shown.split()[-2:] == ["-", "-"]
    assert "LEFT OUT: restate cannot be installed: no npm" in text
    assert "FAILED: W4 of dbos def, round 1: It took more than 300 s." in text


def test_a_figure_that_no_round_has_is_no_line() -> None:
    """Not every machine tells CPU time."""
    assert [one["figure"] for one in report.summarize(rates("perdure", 600))] == ["steps_per_second"]


def test_cpu_time_is_that_of_the_processes_that_are_named() -> None:
    before = workloads.cpu_seconds((os.getpid(),))
    if before is None:
        pytest.skip("There is no /proc on this machine.")

    began = time.process_time()
    while time.process_time() - began < 0.1:
        sum(range(1_000))

    after = workloads.cpu_seconds((os.getpid(),))
    assert after is not None
    assert after - before >= 0.05


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]

    assert (workloads.percentile(values, 50), workloads.percentile(values, 99)) == (50, 99)
    assert workloads.percentile([7.0], 99) == 7


async def test_a_wrong_result_is_not_measured() -> None:
    async def wrong() -> str:
        return "something else"

    with pytest.raises(ValueError, match="something else"):
        await workloads.outstanding(wrong, 1, 1)


async def test_no_more_workflows_are_open_than_asked_for() -> None:
    open_now, most = 0, 0

    async def run() -> str:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0)
        open_now -= 1
        return workloads.TEXT

    await workloads.outstanding(run, 20, 4)

    assert most == 4


@pytest.mark.parametrize("workload", ["W1", "W2", "W3", "W4", "W5", "W6"])
def test_our_script_runs_each_workload(workload: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "perdure_w.py"), workload, "--count", "2", "--open", "2"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)

    figures = json.loads(done.stdout)
    assert (figures["workload"], figures["system"]) == (workload, "perdure")
    assert figures["seconds"] > 0
    assert workload == "W5" or figures["rss_mib"] > 1


def test_a_script_without_figures_is_told_with_its_last_words(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "echo out of luck >&2; exit 3")

    with pytest.raises(peers.Failed, match="ended with 3: out of luck"):
        peers.measure("perdure", "async", peers.RUNS["W4"], systems.Environment(python, {}, []), tmp_path)


def test_a_script_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "RUN_SECONDS_MAX", 2.0)
    note = tmp_path / "server.pid"
    python = fake_python(tmp_path, f"sleep 300 & echo $! > {note}; wait")

    with pytest.raises(peers.Failed, match="more than 2 s"):
        peers.measure("perdure", "async", peers.RUNS["W4"], systems.Environment(python, {}, []), tmp_path)

    server = int(note.read_text())
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while runs(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(server)


def test_what_cannot_be_installed_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither uv nor npm
    monkeypatch.setattr(systems.sys, "executable", str(fake_python(tmp_path, "echo no module named uv >&2; exit 1")))

    ready, left_out = peers.prepare_all(["dbos"], tmp_path / "environments")

    assert not ready
    assert left_out["dbos"].startswith("cannot be installed")
    assert "no module named uv" in left_out["dbos"]


@pytest.mark.skipif(not shutil.which("uv"), reason="There is no uv on PATH.")
def test_a_folder_that_is_no_environment_is_left_as_it_is(tmp_path: Path) -> None:
    """Whoever names their home as the cache may have a folder called perdure there."""
    mine = tmp_path / "dbos" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep me")

    _, left_out = peers.prepare_all(["dbos"], tmp_path)

    assert "dbos" in left_out
    assert mine.read_text() == "keep me"


def fake_python(folder: Path, script: str) -> Path:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def runs(process: int) -> bool:
    """Tell whether a process still does anything: one that waits to be reaped does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    answer = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(answer.stdout.strip()) and not answer.stdout.startswith("Z")
