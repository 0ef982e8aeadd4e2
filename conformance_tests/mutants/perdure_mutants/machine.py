"""Machine-made mutants of the providers: every condition turned round, and every statement dropped.

`python -m perdure_mutants.machine memory` tries all of them and tells which survive. They are planted as the hand-made
ones are, function by function; no file is touched. Every verdict is written down as it comes: started again with the
same `--verdicts`, it tries only what was not killed yet.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from perdure_mutants._changes import Change, changes_of
from perdure_mutants._reach import look_at
from perdure_mutants._run import PLUGINS_OFF, QUIET, ROOT
from perdure_mutants._trial import Fate, Trial

__all__ = ["TARGETS", "Target"]

SURVIVORS_MAX: Final = 0.1
OPTIONS: Final = (*QUIET, *PLUGINS_OFF, "-s", "--timeout=0", "-m", "not slow", "-p", "perdure_mutants._one_test")


class Target(NamedTuple):
    """What is mutated and what must notice.

    Attributes:
        folder: Of the modules.
        package: Their dotted name.
        contracts: The file that runs the contracts on it.
        own: Tests of the provider itself, tried after the contracts.
    """

    folder: str
    package: str
    contracts: str
    own: tuple[str, ...]


TARGETS: Final = {
    "memory": Target(
        folder="core/src/perdure/memory",
        package="perdure.memory",
        contracts="core/tests/spi/test_conformance_of_memory.py",
        own=("core/tests/spi/test_memory.py",),
    ),
    "sqlite": Target(
        folder="providers/local/src/perdure_local/sqlite",
        package="perdure_local.sqlite",
        contracts="conformance_tests/mutants/perdure_mutants/contracts_of_sqlite.py",
        own=tuple(
            f"providers/local/tests/{name}.py"
            for name in (
                "test_waking", "test_messages", "test_storage", "test_opening", "test_folder", "test_group_commit",
                "test_group_endings", "test_plugin", "test_dead_processes", "test_processes", "test_crashes",
                "faults/test_damage",
            )
        ),
    ),
}  # fmt: skip


def main() -> int:
    """Try what the command line names, and tell; 1 if more than a tenth survived."""
    arguments = _parse()
    target = TARGETS[arguments.target]
    changes = [change for file in sorted((ROOT / target.folder).glob("*.py")) for change in _all_of(file, target)]
    chosen = _chosen(changes, arguments)
    os.chdir(ROOT)
    began = time.monotonic()
    tests = [target.contracts, *(() if arguments.contracts_only else target.own)]
    trials = _Trials(target, chosen, arguments.verdicts, arguments.jobs, arguments.own_first)
    if pytest.main([*OPTIONS, *tests], plugins=[trials]) != pytest.ExitCode.OK:
        return 2
    return _tell_all(target, chosen, _read(arguments.verdicts), time.monotonic() - began)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="perdure_mutants.machine", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--sample", type=int, metavar="COUNT", help="only so many of them")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, metavar="COUNT", help="mutants tried at once")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="TEXT", help="those whose name holds it, and no sample"
    )
    parser.add_argument("--contracts-only", action="store_true", help="without the provider's own tests")
    parser.add_argument("--own-first", action="store_true", help="quicker for what the contracts are known not to kill")
    parser.add_argument("--verdicts", type=Path, required=True, metavar="FILE", help="where they are written, and read")
    return parser.parse_args()


def _all_of(file: Path, target: Target) -> list[Change]:
    return list(changes_of(file, f"{target.package}.{file.stem}"))


def _chosen(changes: list[Change], arguments: argparse.Namespace) -> list[Change]:
    if arguments.only:
        return [change for change in changes if any(text in change.mutant.name for text in arguments.only)]
    if arguments.sample is None:
        return changes
    return random.Random(arguments.seed).sample(changes, min(arguments.sample, len(changes)))  # noqa: S311 - repeatable


@dataclass(frozen=True, slots=True)
class _Trials:
    """The pytest plugin: tries mutants instead of running the tests."""

    target: Target
    chosen: list[Change]
    verdicts: Path
    jobs: int
    own_first: bool

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Divide the mutants among as many processes as are asked for."""
        assert not session.testsfailed, "some tests could not be collected"
        done = {fate.digest for fate in _read(self.verdicts) if fate.outcome == "killed"}
        left = [change for change in self.chosen if change.digest not in done]
        trial = Trial(session, look_at(session, self.target.package), self._is_first)
        workers = [self._fork(trial, left[first :: self.jobs]) for first in range(self.jobs)]
        assert all(os.waitpid(worker, 0)[1] == 0 for worker in workers), "a worker has failed"
        return True

    def _is_first(self, test: str) -> bool:
        return test.startswith(self.target.contracts) is not self.own_first

    def _fork(self, trial: Trial, changes: list[Change]) -> int:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                self._work(trial, changes)
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        return pid

    def _work(self, trial: Trial, changes: list[Change]) -> None:
        parent = os.getppid()
        for change in changes:
            if os.getppid() != parent:
                return  # Nobody reads what it finds any more.
            fate = trial.try_out(change)
            with self.verdicts.open("ab") as file:
                file.write(msgspec.json.encode(fate) + b"\n")
            print(f"{fate.outcome:<9}{fate.seconds:6.1f} s  {fate.mutant}  {fate.test or fate.how}", flush=True)


def _read(verdicts: Path) -> list[Fate]:
    lines = verdicts.read_bytes().splitlines() if verdicts.exists() else []
    return [msgspec.json.decode(line, type=Fate) for line in lines]


def _tell_all(target: Target, chosen: list[Change], fates: list[Fate], seconds: float) -> int:
    last = {fate.digest: fate for fate in fates}
    found = [last[change.digest] for change in chosen]
    tried = [fate for fate in found if fate.outcome != "left out"]
    killed = [fate for fate in tried if fate.outcome == "killed"]
    by_contracts = sum(fate.test.startswith(target.contracts) for fate in killed)
    print(*(f"{fate.outcome} {fate.mutant}" for fate in found if fate.outcome != "killed"), sep="\n")
    print(
        f"{len(killed)} of {len(tried)} killed, {by_contracts} of them by the contracts, in {seconds:.0f} s; "
        f"{len(found) - len(tried)} left out"
    )
    return int(len(tried) - len(killed) > SURVIVORS_MAX * len(tried))


if __name__ == "__main__":
    raise SystemExit(main())
