"""`perdure simulate`: an orchestration under crashes, lost answers and outages that seeds draw."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
import msgspec

from perdure.authoring import json_input
from perdure.cli._output import write_json
from perdure.cli._process import HASH_SEED, begin_with_fixed_hashes
from perdure.cli._shell import FAILED, Command, notice
from perdure.cli._target import call_with, find_orchestration, read_json
from perdure.cli._words import printable
from perdure.errors import Misuse
from perdure.testing import Finding
from perdure.testing.simulation import Outcome, Scenario, Simulation, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["simulate"]

SECTIONS = {
    "Examples": (
        "perdure simulate shop:invoicing --input order.json --seeds 1000",
        "perdure simulate shop:invoicing --input order.json --seed 417",
        "perdure simulate shop:approval --input '\"A-1\"' --event approved=true",
    ),
    "Exit codes": ("0 nothing was found, 1 something was, 2 wrong use.",),
}

OTHER_HASH_SEEDS = ("1", "2")
PROGRESS_SECONDS = 0.5
TRIED_SECONDS_MAX = 120
DAY_SECONDS = 86_400.0


@click.command(cls=Command, sections=SECTIONS)
@click.argument("target", metavar="MODULE:ORCHESTRATION")
@click.option("--input", "input_", metavar="JSON", help="A JSON file, - for stdin, or JSON itself.")
@click.option("--event", "events", multiple=True, metavar="NAME=JSON", help="Send every instance this event, once.")
@click.option("--seeds", type=click.IntRange(min=1), default=100, show_default=True, help="How many seeds to run.")
@click.option("--seed-from", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--seed", type=click.IntRange(min=0), help="Run this seed alone.")
@click.option("--instances", type=click.IntRange(min=1), default=3, show_default=True, help="Instances per seed.")
@click.option("--workers", type=click.IntRange(min=1), default=3, show_default=True, help="Worker processes per seed.")
@click.option("--days", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Virtual time to end in.")
@click.option("--any-result", is_flag=True, help="Results may differ from those of a run without faults.")
@click.option("--keep-going", is_flag=True, help="Go on after a seed that fails.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per failure, and one at the end.")
@click.option("--baseline-hash", is_flag=True, hidden=True)
def simulate(target: str, *, input_: str | None, baseline_hash: bool, **options: Any) -> int:
    """Run an orchestration under simulated faults.

    Runs it again and again in this process, on virtual time, with workers that crash, answers that get lost, outages
    and clocks that are off, as the seed draws them, and checks that every instance ends with the result that it has
    without faults. A seed that fails is printed with its faults, with those of them that are needed, and with a trace;
    the same seed fails again.

    Activities run for real, in one thread: have them use stand-ins for the outside world. No hub is touched.
    """
    if not baseline_hash:
        begin_with_fixed_hashes()
    simulation = Simulation(_scenario(target, input_, **options))
    if baseline_hash:
        click.echo(simulation.baseline.trace_hash)
        return 0
    search = _Search(simulation, as_json=options["as_json"])
    if not search.is_fit():
        return FAILED
    seed, first = options["seed"], options["seed_from"]
    search.run([seed] if seed is not None else range(first, first + options["seeds"]), options["keep_going"])
    if not search.failures and seed is None:
        search.compare_hash_seeds()
    search.sum_up()
    return FAILED if search.failures else 0


def _scenario(
    target: str,
    input_: str | None,
    *,
    events: tuple[str, ...],
    instances: int,
    workers: int,
    days: float,
    any_result: bool,
    **_others: object,
) -> Scenario:
    definition, definitions = find_orchestration(target)
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if input_ is None:
        call_with(definition, None).close()  # says what is missing
    else:
        args, kwargs = definition.signature.decode(json_input(definition, read_json(input_, what="--input")))
    return Scenario(
        orchestration=definition,
        args=args,
        kwargs=kwargs,
        definitions=tuple(definitions),
        instances=instances,
        workers=workers,
        events=tuple([_event(text) for text in events]),
        is_any_result=any_result,
        finish_seconds=days * DAY_SECONDS,
    )


def _event(text: str) -> tuple[str, Any]:
    name, equals, payload = text.partition("=")
    if not equals:
        raise Misuse(f"--event {text!r} has no payload: write {text}=JSON, for example {text}=null.")
    return name, read_json(payload, what=f"--event {name}")


@dataclass
class _Search:
    """Seeds that were run, and what was found."""

    simulation: Simulation
    as_json: bool
    failures: int = 0
    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    began: float = field(default_factory=time.monotonic)
    shown: float = 0.0

    def is_fit(self) -> bool:
        """Look at the run without faults: whatever is found there is found in all."""
        baseline = self.simulation.baseline
        findings = baseline.findings
        unsteady = self.simulation.repeats(baseline)
        if unsteady and self.simulation.scenario.is_any_result:
            notice(printable(f"a seed may give another run the next time: {unsteady[0].text}"))
        elif unsteady:
            findings = (*findings, *unsteady)
        failed = sorted({result for result in baseline.results.values() if result.startswith("failed: ")})
        if failed:
            notice(printable(f"without faults it ends like this, and so it must with them: {failed[0]}"))
        if findings:
            self._report(msgspec.structs.replace(baseline, findings=findings))
        return not findings

    def run(self, seeds: Iterable[int], keep_going: bool) -> None:  # noqa: FBT001 - one of two
        """Run seeds until one fails, or all of them."""
        for seed in seeds:
            outcome = self.simulation.run(seed)
            self.seeds += 1
            self.counts.update(faults=len(outcome.faults), deaths=outcome.deaths, steps=outcome.steps)
            if not outcome.ok:
                self._report(outcome)
                if not keep_going:
                    break
            self._show_progress()

    def compare_hash_seeds(self) -> None:
        """Run without faults under other hash seeds: code that walks over a set does something else then."""
        for hash_seed in OTHER_HASH_SEEDS if self.simulation.scenario.is_any_result is False else ():
            elsewhere = _baseline_hash(hash_seed)
            if elsewhere and elsewhere != self.simulation.baseline.trace_hash:
                text = (
                    f"under {HASH_SEED}={hash_seed} it does something else: code depends on the order of a set, or on "
                    "hash(). Sort before you loop."
                )
                self._report(msgspec.structs.replace(self.simulation.baseline, findings=(Finding("hashes", "", text),)))
                return

    def _report(self, failed: Outcome) -> None:
        self.failures += 1
        smallest = failed if failed.seed is None else self.simulation.shrink(failed)
        if self.as_json:
            write_json({"failed": failed_json(failed), "smallest": failed_json(smallest)})
        else:
            click.echo("\n".join(printable(line) for line in tell(failed, smallest).split("\n")))

    def _show_progress(self) -> None:
        now = time.monotonic()
        if now - self.shown > PROGRESS_SECONDS and sys.stderr.isatty():
            self.shown = now
            click.echo(f"\r{self._sum()}", err=True, nl=False)

    def sum_up(self) -> None:
        """Say how much was run."""
        if sys.stderr.isatty():
            click.echo("\r", err=True, nl=False)
        if self.as_json:
            seconds = time.monotonic() - self.began
            write_json({"seeds": self.seeds, "failures": self.failures, "seconds": seconds, **self.counts})
        else:
            click.echo(self._sum())

    def _sum(self) -> str:
        per_second = self.seeds / max(time.monotonic() - self.began, 1e-9)
        happened = f"{self.counts['faults']:,} faults, {self.counts['deaths']:,} deaths of processes"
        return f"{self.seeds:,} seeds, {self.failures} failed; {happened}; {per_second:.1f} seeds/s"


def failed_json(outcome: Outcome) -> dict[str, object]:
    """Give a run as plain data."""
    told: dict[str, object] = msgspec.to_builtins(outcome)
    return told


def _baseline_hash(hash_seed: str) -> str:
    """Have another process run the same without faults; empty if this process was not started as `perdure`."""
    arguments: Sequence[str] = sys.orig_argv[1:]
    if "simulate" not in arguments or "-" in arguments:
        return ""
    command = [sys.executable, *arguments, "--baseline-hash"]
    environ = {**os.environ, HASH_SEED: hash_seed}
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environ, capture_output=True, text=True, timeout=TRIED_SECONDS_MAX, check=False
    )
    if done.returncode:
        raise Misuse(f"Under {HASH_SEED}={hash_seed} it cannot be run: {done.stderr.strip():.500}")
    return done.stdout.strip().rpartition("\n")[2]
