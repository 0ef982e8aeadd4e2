"""How fast Perdure is on this machine: `python benchmarks/local.py`, see README.md beside this file.

Progress goes to stderr, a table to stdout, and all numbers as JSON to where `--json` says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from _machine import describe_machine
from _measurements import MEASUREMENTS
from _plan import SIZES
from _report import GOALS_ARE_FOR, SCHEMA, Report, Section, shown, sum_up, table
from _run import MeasurementError, run_in_child

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _numbers import Number

FAILED = 1
"""Exit status if a measurement failed or something acknowledged was lost. A missed goal is no failure."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; a wrong one ends the program with a message."""
    parser = argparse.ArgumentParser(description="Measure Perdure on this machine.")
    parser.add_argument(
        "measurements",
        nargs="*",
        metavar="MEASUREMENT",
        help="which to run, by name or by how a name begins (w1 is w1-1, w1-50 and w1-512); all if none is named",
    )
    parser.add_argument("--list", action="store_true", help="show the names and stop")
    parser.add_argument("--url", default="sqlite:", help="sqlite: (default), file: or memory:; folders are fresh ones")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const="quick", help="a few seconds each")
    sizes.add_argument("--size", choices=tuple(SIZES), help="how much to run (default: full)")
    parser.add_argument("--rounds", type=int, default=1, help="measure everything so often, in turn; medians are shown")
    parser.add_argument("--json", metavar="FILE", help="write all numbers there; - is stdout, then without the table")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where to make the fresh folders: it decides which disk is measured (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    options.scheme = options.url.removesuffix(":")
    if options.scheme not in {"sqlite", "file", "memory"}:
        parser.error(f"--url {options.url}: give sqlite:, file: or memory:, without a path; --folder says where.")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: give 1 or more.")
    if not options.folder.is_dir():
        parser.error(f"--folder {options.folder}: there is no such folder; make it first.")
    options.size = options.size or "full"
    options.chosen = _choose(parser, options)
    return options


def _choose(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    """Find the measurements that are meant, in the order of the list."""
    wanted: set[str] = set()
    for given in options.measurements:
        found = {given} & MEASUREMENTS.keys() or {name for name in MEASUREMENTS if name.startswith(given)}
        if not found:
            parser.error(f"There is no measurement {given!r}; there are: {', '.join(MEASUREMENTS)}.")
        unfit = [name for name in found if options.scheme not in MEASUREMENTS[name].schemes]
        if unfit:
            parser.error(f"{', '.join(unfit)} cannot be measured on {options.scheme}:.")
        wanted |= found
    fit = [name for name, measurement in MEASUREMENTS.items() if options.scheme in measurement.schemes]
    return [name for name in fit if name in wanted or not wanted]


def run_all(options: argparse.Namespace) -> Report:
    """Measure what was chosen, all of it once before any of it again."""
    began_at, machine = datetime.now(UTC), describe_machine(options.folder)
    numbers: dict[str, list[list[Number]]] = {name: [] for name in options.chosen}
    errors: dict[str, list[str]] = {name: [] for name in options.chosen}
    seconds = dict.fromkeys(options.chosen, 0.0)
    for _ in range(options.rounds):
        for name in options.chosen:
            _say(f"{name}: {MEASUREMENTS[name].about} … ")
            began = time.perf_counter()
            try:
                numbers[name].append(run_in_child(name, options.scheme, SIZES[options.size], options.folder))
                _say(", ".join(f"{each.name} {shown(each.value)} {each.unit}" for each in numbers[name][-1]) + "\n")
            except MeasurementError as problem:
                errors[name].append(str(problem))
                _say(f"FAILED: {problem}\n")
            seconds[name] += time.perf_counter() - began
    has_goals = (options.scheme, options.size) == GOALS_ARE_FOR
    return Report(
        schema=SCHEMA,
        scheme=options.scheme,
        size=options.size,
        rounds=options.rounds,
        began_at=began_at.isoformat(timespec="seconds"),
        machine=machine,
        sections=[
            Section(
                name=name,
                about=MEASUREMENTS[name].about,
                seconds=round(seconds[name], 3),
                lines=sum_up(name, numbers[name], has_goals=has_goals),
                errors=errors[name],
            )
            for name in options.chosen
        ],
    )


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def publish(report: Report, json_place: str | None) -> None:
    """Show the table and write the JSON."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    if json_place == "-":
        print(text)
        return
    print(table(report))
    if json_place is not None:
        Path(json_place).write_text(f"{text}\n", "utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run the program; give its exit status."""
    options = parse_arguments(arguments)
    if options.list:
        for name, measurement in MEASUREMENTS.items():
            print(f"{name:14}{measurement.about}")
        return 0
    report = run_all(options)
    publish(report, options.json)
    return FAILED if any(section.errors for section in report.sections) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
