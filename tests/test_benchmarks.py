"""The benchmarks run, whatever the machine is doing: tiny sizes of everything give complete numbers. None is judged."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "local.py"
PATIENCE_SECONDS = 110.0

IN_ONE_PROCESS = (
    *("w1-1", "w1-50", "w1-512", "short-50", "short-512", "w2", "w3", "w4", "chains-50", "chains-512", "w6"),
    *("fan-out", "chain", "statements"),
)
WITH_OTHERS = ("w5", "waiting", "memory", "recovery", "acknowledged", "processes")

MAY_BE_ZERO = {
    ("acknowledged", "lost"),
    ("waiting", "per instance beyond the cache"),  # A difference of two sizes of a process: of few instances, noise.
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program; what it says on stderr is in the test's output."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    sys.stderr.write(done.stderr)
    return done


def measure(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run measurements at their tiniest and give the JSON."""
    done = run("--size", "tiny", "--json", "-", "--folder", str(folder), *arguments)
    assert done.returncode == 0, done.stdout
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def assert_complete(report: dict[str, Any], measurements: tuple[str, ...]) -> None:
    """Every measurement is there, and every number has a unit and is more than nothing."""
    assert {section["name"] for section in report["sections"]} == set(measurements)
    for section in report["sections"]:
        assert section["errors"] == []
        assert section["lines"]
        for line in section["lines"]:
            where = section["name"], line["name"]
            assert line["unit"], where
            assert len(line["rounds"]) == report["rounds"], where
            assert line["value"] > 0 or where in MAY_BE_ZERO, where


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a module of the benchmarks, which are scripts beside each other and no package."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    return importlib.import_module


# ── everything runs ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("measurement", IN_ONE_PROCESS)
async def test_it_gives_numbers(part: Callable[[str], Any], tmp_path: Path, measurement: str) -> None:
    """In the test's process: a process for each would take most of the time."""
    plan = part("_plan")
    task = plan.Task(measurement=measurement, scheme="sqlite", folder=str(tmp_path), size=plan.SIZES["tiny"])

    numbers = await part("_child").measure(task)

    assert numbers
    assert all(number.value > 0 and number.unit for number in numbers), numbers


async def test_a_sync_is_at_every_commit(part: Callable[[str], Any], tmp_path: Path) -> None:
    """Asked of the connection that writes: with less than FULL every other number would be of something else."""
    plan = part("_plan")
    bench = plan.Bench("sqlite", tmp_path, plan.SIZES["tiny"])

    found = {number.name: number.value for number in await part("_statements").statements(bench)}

    assert found["PRAGMA synchronous"] == 2
    assert found["PRAGMA journal_mode is WAL"] == 1
    assert found["statements per step, 1 open"] > found["commits per step, 1 open"] > 0


def test_the_table_is_for_people_and_the_file_for_programs(tmp_path: Path) -> None:
    file, hubs = tmp_path / "numbers.json", tmp_path / "hubs"
    hubs.mkdir()

    done = run("--size", "tiny", "--json", str(file), "--folder", str(hubs), "w1-50")

    assert done.returncode == 0
    assert re.search(r"^w1-50 +throughput +[\d.,]+ +steps/s$", done.stdout, re.MULTILINE)
    report = json.loads(file.read_text("utf-8"))
    assert_complete(report, ("w1-50",))
    assert (report["schema"], report["scheme"], report["size"]) == (1, "sqlite", "tiny")
    # The goals are for the full size.
    assert {line["met"] for section in report["sections"] for line in section["lines"]} == {None}
    assert not list(hubs.iterdir())  # Nothing is left behind.


def test_the_machine_is_described(part: Callable[[str], Any], tmp_path: Path) -> None:
    """A number without its machine means nothing, least of all on a file system that syncs for free."""
    machine = part("_machine").describe_machine(tmp_path)

    assert machine.python.endswith(".".join(map(str, sys.version_info[:3])))
    assert machine.core_count >= 1
    assert machine.load_average >= 0
    assert all(value for name, value in msgspec.structs.asdict(machine).items() if name != "load_average"), machine


@pytest.mark.slow
def test_what_several_processes_measure_is_complete(tmp_path: Path) -> None:
    report = measure(tmp_path, *WITH_OTHERS)

    assert_complete(report, WITH_OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "measurement"), [("file", "chain"), ("memory", "w1-50")])
def test_other_hubs_can_be_measured(tmp_path: Path, scheme: str, measurement: str) -> None:
    report = measure(tmp_path, "--url", f"{scheme}:", "--rounds", "2", measurement)

    assert_complete(report, (measurement,))
    assert (report["scheme"], report["rounds"]) == (scheme, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("w7",), "There is no measurement 'w7'; there are: w1-1,"),
        (("--url", "memory:", "recovery"), "recovery cannot be measured on memory:."),
        (("--url", "s3:bucket"), "--url s3:bucket: give sqlite:, file: or memory:"),
        (("--rounds", "0"), "--rounds 0: give 1 or more."),
        (("--folder", "/nowhere/at/all"), "there is no such folder; make it first."),
    ],
)
def test_a_wrong_use_is_refused(
    part: Callable[[str], Any], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        part("local").main(arguments)

    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_measurements_are_found_by_how_their_names_begin(part: Callable[[str], Any]) -> None:
    parse = part("local").parse_arguments

    assert parse(["chain", "w1"]).chosen == ["w1-1", "w1-50", "w1-512", "chain"]
    assert parse([]).chosen == [*part("_measurements").MEASUREMENTS]
    assert {*IN_ONE_PROCESS, *WITH_OTHERS} == {*parse([]).chosen}
    assert {*WITH_OTHERS} - {*parse(["--url", "memory:"]).chosen} == {*WITH_OTHERS} - {"w5"}


def test_a_measurement_that_fails_is_shown_and_fails_the_run(tmp_path: Path) -> None:
    """Numbers that are missing must not look like numbers that nobody asked for."""
    (tmp_path / "sitecustomize.py").write_text("import sqlite3\nsqlite3.sqlite_version_info = (3, 30, 0)\n", "utf-8")
    arguments = ["--size", "tiny", "--folder", str(tmp_path), "statements"]

    done = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "statements   FAILED, see below" in done.stdout
    assert "sqlite: needs 3.37.0 or newer" in done.stdout


# ── the parts that judge ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_acknowledged_instance_that_is_not_there_is_found(part: Callable[[str], Any], tmp_path: Path) -> None:
    kill, steady, told = part("_kill"), part("_steady"), part("_told")
    url = f"sqlite:{tmp_path / 'hub'}"
    async with steady.hub_with_worker(url) as hub:
        for instance, data in (("right", told.told_data("right")), ("wrong", told.told_data("right"))):
            await (await hub.start(part("_workflows").five_steps(data), id=instance)).result()
    async with perdure.connect(url) as hub:
        await hub.start(part("_workflows").five_steps(told.told_data("begun")), id="begun")

    everything = ["right", "wrong", "begun"]
    assert await kill._find_lost(url, told.Told(started=everything, ended=["right"])) == set()
    assert await kill._find_lost(url, told.Told(started=[*everything, "gone"], ended=[])) == {"gone"}
    assert await kill._find_lost(url, told.Told(started=[], ended=[*everything, "gone"])) == {"wrong", "begun", "gone"}


def test_the_window_counts_whole_waves_after_the_first_one(part: Callable[[str], Any]) -> None:
    """Those that start together end together: a window over a part of them would tell anything."""
    steady = part("_steady")
    window = steady.Window(steady.Load(open_count=2, seconds=3, count_min=2))

    for began, ended in ((0, 5), (0, 6), (5, 8), (6, 8.5), (7, 9), (8, 10)):
        assert not window.is_over
        window.note(began, ended)
    window.note(9, 100)

    assert window.is_over
    assert (window.seconds, window.per_second) == (4, 1)
    assert (window.milliseconds(0), window.milliseconds(50), window.milliseconds(99)) == (2000, 2500, 3000)


def test_goals_are_met_or_missed(part: Callable[[str], Any]) -> None:
    measured = part("_numbers")
    met = {
        sign: [measured.Goal(sign, 5).is_met(value) for value in (4, 5, 6)]
        for sign in ("≥", "≤", ">")
    }  # fmt: skip

    assert met == {"≥": [False, True, True], "≤": [True, True, False], ">": [False, False, True]}


def test_rounds_are_summed_up_to_their_median(part: Callable[[str], Any]) -> None:
    number = part("_numbers").Number
    rounds = [[number("time", value, "s")] for value in (0.7, 0.1, 0.5)]

    (line,) = part("_report").sum_up("w5", rounds, has_goals=True)

    assert (line.value, line.rounds, line.goal, line.met) == (0.5, [0.7, 0.1, 0.5], "≤ 0.6", True)


def test_every_goal_is_of_a_measurement_that_there_is(part: Callable[[str], Any]) -> None:
    assert {name for name, _ in part("_numbers").GOALS} <= part("_measurements").MEASUREMENTS.keys()


def test_half_a_line_of_a_killed_process_does_not_count(part: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "marks").write_bytes(b"7 0 1000000000\n7 10 25")
    (tmp_path / "told").write_text("started told-1\nended told-1\nended tol", "ascii")

    assert part("_marks").read_marks(tmp_path / "marks") == [part("_marks").Mark(process=7, count=0, seconds=1.0)]
    assert part("_told").read_told(tmp_path / "told") == part("_told").Told(["told-1"], ["told-1"])


def test_a_flame_graph_is_as_wide_as_the_samples_say(tmp_path: Path) -> None:
    folded = tmp_path / "folded"
    folded.write_text(
        "main (app.py:1);BaseEventLoop._run_once (e.py:9);turn (perdure/worker/x.py:3);plan (perdure/engine/y.py:7) 3\n"
        "main (app.py:1);BaseEventLoop._run_once (e.py:9);turn (perdure/worker/x.py:4) 1\n"
        "main (app.py:1);wait (other.py:2) 50\n"
    )

    subprocess.run([sys.executable, PROGRAM.parent / "_flame.py", folded, tmp_path / "flame.svg"], check=True)

    drawn = (tmp_path / "flame.svg").read_text()
    assert re.findall(r"<title>(.*?)</title>", drawn) == [
        "all 100.0%",
        "turn (perdure/worker/x.py) 100.0%",
        "plan (perdure/engine/y.py) 75.0%",
    ]
    assert re.findall(r'width="([\d.]+)"', drawn) == ["1200.0", "1200.0", "900.0"]
