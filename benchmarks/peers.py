"""Side by side with peers: the same workloads on Perdure, DBOS (SQLite) and Restate, in turn, on this machine.

    python benchmarks/peers.py                                  everything, three rounds, ten to twenty minutes
    python benchmarks/peers.py --only W1 W2 --rounds 5 --json result.json --plot pictures
    python benchmarks/peers.py --systems perdure dbos --environments ~/.cache/perdure-peers

Each system gets an environment of its own, at the versions of the table in `_peers/systems.py`, made once with uv and
npm. A system that cannot be installed is reported and left out. The rounds are interleaved (ours, a peer, the next
peer, ours, ...), so that a slow minute of the machine hits all of them; the median of the rounds counts. Where a
system has several ways to write a workflow, the first round chooses the better one, run by run. Every system runs
durably, with the settings that it ships with, on loopback, in a fresh folder. `_peers/workloads.py` says what W1 to W6
are.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "_peers"))  # Scripts in a folder are no package.

from report import OURS, SCHEMA, Rows, chosen_variant, summarize, table
from systems import PLOT, SCRIPTS, SYSTEMS, Environment, call, explain, interpreter_of, make_environment, prepare

RUN_SECONDS_MAX = 300.0
STOP_SECONDS_MAX = 10.0
SYNC_PROBES = 100
SYNC_MS_MIN = 0.02
"""A disk that answers faster than this does not keep anything: it is memory."""


@dataclass(frozen=True, slots=True)
class Run:
    """One workload at one size. Only what is named in `systems` runs it; empty means all."""

    workload: str
    count: int
    open: int
    systems: tuple[str, ...] = ()


RUNS = {
    "W1": Run("W1", count=200, open=50),
    "W1-long": Run("W1", count=2_000, open=50, systems=(OURS,)),  # 200 are over too soon for a steady rate of ours.
    "W2": Run("W2", count=100, open=1),
    "W3": Run("W3", count=1_000, open=1),
    "W4": Run("W4", count=2_000, open=1),
    "W5": Run("W5", count=3, open=1),
    "W6": Run("W6", count=1_000, open=1_000),
}


def tell(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


# ── rounds ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def prepare_all(names: list[str], environments: Path) -> tuple[dict[str, Environment], dict[str, str]]:
    """Make systems ready.

    Returns:
        Those that can run, and of the others why they cannot.
    """
    ready: dict[str, Environment] = {}
    left_out: dict[str, str] = {}
    for name in names:
        tell(f"environment of {name} …")
        try:
            ready[name] = prepare(name, environments)
        except (OSError, subprocess.SubprocessError) as problem:
            left_out[name] = f"cannot be installed: {explain(problem)}"
            tell(f"{name} is left out; it {left_out[name]}")
    return ready, left_out


class Failed(Exception):
    """A script did not print its figures; the message has its last words. Mend the script, or leave the system out."""


def measure(name: str, variant: str, run: Run, environment: Environment, data: Path) -> dict[str, Any]:
    """Run one script in a fresh folder, bounded in time; no process of it outlives this.

    Raises:
        Failed: It took too long, or ended without figures.
    """
    size = ("--count", str(run.count), "--open", str(run.open), "--variant", variant)
    command = [str(environment.python), str(SCRIPTS / SYSTEMS[name].script), run.workload, *size]
    variables = {**os.environ, **environment.variables}
    with (
        # What was killed may still write while it dies: its last file is no reason to lose the other figures.
        tempfile.TemporaryDirectory(dir=data, ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process,
    ):
        try:
            output, _ = process.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Failed(f"It took more than {RUN_SECONDS_MAX:.0f} s.") from None
        finally:
            end_group(process)
        errors.seek(0)
        if process.returncode != 0 or not output.strip():
            raise Failed(f"It ended with {process.returncode}: {errors.read().strip()[-1500:]}")
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def end_group(process: subprocess.Popen[str]) -> None:
    """End the script and what it started (it leads a group of its own): politely first, so that servers stop, too."""
    with contextlib.suppress(ProcessLookupError):  # the usual case: all of them have ended by themselves
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS_MAX)
        os.killpg(process.pid, signal.SIGKILL)


def contestants(run: Run, ready: dict[str, Environment]) -> list[tuple[str, str]]:
    """List who takes part in a run: systems with their variants."""
    able = [name for name in ready if not run.systems or name in run.systems]
    pairs = [(name, variant) for name in able for variant in SYSTEMS[name].variants]
    return [(name, variant) for name, variant in pairs if run.workload not in SYSTEMS[name].lacks.get(variant, ())]


def play(runs: list[str], rounds: int, ready: dict[str, Environment], data: Path) -> tuple[Rows, Rows]:
    """Run everything, round by round.

    Returns:
        The figures of each script that ran, and what failed.
    """
    figures: Rows = []
    failures: Rows = []
    for number in range(1, rounds + 1):
        for key in runs:
            run = RUNS[key]
            for name, variant in contestants(run, ready):
                if number > 1 and chosen_variant(figures, name, key) not in {variant, None}:
                    continue  # The first round has chosen: the slower way to write it would only take time.
                label = {"run": key, "system": name, "variant": variant, "round": number}
                size = {"count": run.count, "open": run.open}
                try:
                    figures.append(label | size | measure(name, variant, run, ready[name], data))
                except Failed as problem:
                    failures.append(label | {"why": str(problem)})
                    tell(f"round {number}  {key:8} {name:8} {variant:6} FAILED: {problem}")
                else:
                    tell(f"round {number}  {key:8} {name:8} {variant:6} {spoken(figures[-1])}")
    return figures, failures


def spoken(figures: dict[str, Any]) -> str:
    """Name the figures that tell most, for the progress."""
    known = ("steps_per_second", "cpu_ms_per_step", "p50_ms", "p99_ms", "seconds", "rss_mib")
    return "  ".join(f"{name} {figures[name]:,.2f}" for name in known if name in figures)


# ── what they say ────────────────────────────────────────────────────────────────────────────────────────────────────


def sync_ms(data: Path) -> float:
    """Measure what the disk takes to keep 1,000 bytes: the median of some appends with fdatasync, in ms."""
    keep = getattr(os, "fdatasync", os.fsync)
    times = []
    with tempfile.TemporaryFile(dir=data, buffering=0) as file:
        for _ in range(SYNC_PROBES):
            began = time.perf_counter()
            file.write(b"x" * 1_000)
            keep(file.fileno())
            times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def describe_machine(data: Path) -> dict[str, Any]:
    """Say where it ran, as far as it matters for comparing."""
    disk = sync_ms(data)
    if disk < SYNC_MS_MIN:
        tell(f"{data} keeps a write in {disk:.3f} ms, which no disk does: it is memory. Name a real disk with --data.")
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "fdatasync_p50_ms": disk,
    }


# ── command line ─────────────────────────────────────────────────────────────────────────────────────────────────────


def parse() -> argparse.Namespace:
    """Read the command line; the text at the top of this file is its help."""
    whole, parts = __doc__ or "", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=whole, formatter_class=parts)
    workloads = sorted({run.workload for run in RUNS.values()})
    parser.add_argument("--only", nargs="+", choices=workloads, default=workloads, help="these workloads")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS), help="these systems")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything runs; the median counts (3)")
    parser.add_argument("--environments", type=Path, help="where to install, kept for the next time (a temporary one)")
    parser.add_argument("--data", type=Path, help="a folder on a real disk, for the systems' data (a temporary one)")
    parser.add_argument("--json", metavar="FILE", help="write every figure and the medians there; - is stdout")
    parser.add_argument("--plot", metavar="FOLDER", type=Path, help="draw peers.png there (matplotlib is installed)")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error(f"--rounds {given.rounds} is less than one round")
    return given


def main() -> int:
    """Install, run, tell.

    Returns:
        The exit code: 0 if every system that was asked for ran everything.
    """
    given = parse()
    with tempfile.TemporaryDirectory() as temporary:
        environments = (given.environments or Path(temporary) / "environments").resolve()
        data = (given.data or Path(temporary) / "data").resolve()
        environments.mkdir(parents=True, exist_ok=True)
        data.mkdir(parents=True, exist_ok=True)
        result = compare(given, environments, data)
        text = json.dumps(result, indent=1)
        file = Path(temporary) / "result.json" if given.json in {None, "-"} else Path(given.json).resolve()
        file.write_text(text + "\n", "utf-8")
        print(table(result), file=sys.stderr if given.json == "-" else sys.stdout)
        if given.json == "-":
            print(text)
        if given.plot:
            draw(file, given.plot.resolve(), environments / "plot")
    return int(bool(result["failures"] or result["left_out"]))


def draw(file: Path, folder: Path, environment: Path) -> None:
    """Draw the plot in an environment of its own.

    Raises:
        SystemExit: There is no plot; the figures are where `--json` put them, and report.py can draw them later.
    """
    try:
        make_environment(environment, PLOT)
        call(str(interpreter_of(environment)), str(SCRIPTS / "report.py"), str(file), "--plot", str(folder))
    except (OSError, subprocess.SubprocessError) as problem:
        raise SystemExit(f"There is no plot: {explain(problem)}") from problem


def compare(given: argparse.Namespace, environments: Path, data: Path) -> dict[str, Any]:
    """Install and measure what the command line asks for.

    Returns:
        What `--json` writes.
    """
    machine = describe_machine(data)
    began = time.monotonic()
    ready, left_out = prepare_all([name for name in SYSTEMS if name in given.systems], environments)
    keys = [key for key, run in RUNS.items() if run.workload in given.only]
    figures, failures = play(keys, given.rounds, ready, data)
    return {
        "schema": SCHEMA,
        "benchmark": "peers",
        "ended_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "took_seconds": round(time.monotonic() - began),
        "machine": machine | {"load_after": os.getloadavg()[0]},
        "rounds": given.rounds,
        "systems": {
            name: {"durability": SYSTEMS[name].durability, "versions": environment.versions}
            for name, environment in ready.items()
        },
        "left_out": left_out,
        "summary": summarize(figures),
        "failures": failures,
        "figures": figures,
    }


if __name__ == "__main__":
    sys.exit(main())
