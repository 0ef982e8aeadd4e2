"""Trying machine-made mutants: each in a child of its own, with the tests that reach it, the quickest first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure_mutants._fork import start
from perdure_mutants._judgement import first_line
from perdure_mutants._one_test import error_of
from perdure_mutants._plant import MisplacedError, planted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest

    from perdure_mutants._changes import Change
    from perdure_mutants._reach import Test

__all__ = ["Fate", "Trial"]

ENDLESS_SECONDS, ENDLESS_TIMES = 20.0, 20
"""A test that takes so much longer than while nothing is broken never ends."""

ROOM = 4
"""So many times shorter than that it must be when it is run again without the mutant, or it says nothing."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a machine-made mutant.

    Attributes:
        mutant: Its name.
        digest: The change's.
        outcome: `killed`, `survived`, or `left out`: it could not be planted.
        test: Node id of the test that killed it.
        how: What that test said.
        test_count: Tests that reach it.
        seconds: How long it took.
    """

    mutant: str
    digest: str
    outcome: str
    test: str = ""
    how: str = ""
    test_count: int = 0
    seconds: float = 0.0


class Trial:
    """One session's tests, and what they reach.

    Args:
        session: Collected.
        tests: As `look_at` found them.
        is_first: Whether a test is tried before the others, by its node id.
    """

    def __init__(self, session: pytest.Session, tests: Sequence[Test], is_first: Callable[[str], bool]) -> None:
        self._session = session
        self._tests = sorted(tests, key=lambda test: (not is_first(self._item(test).nodeid), test.seconds))

    def try_out(self, change: Change) -> Fate:
        """Run the tests that reach a mutant until one fails that does not fail without it."""
        try:
            with planted(change.mutant):
                pass
        except MisplacedError as problem:
            return Fate(change.mutant.name, change.digest, "left out", how=str(problem))
        began = time.monotonic()
        places = {(str(change.file), line) for line in change.lines}
        tests = [test for test in self._tests if not places.isdisjoint(test.lines)]
        left = tests
        while failed := self._first_failure(change, left):
            test, how = failed
            if self._passes(test):
                killer, seconds = self._item(test).nodeid, round(time.monotonic() - began, 1)
                return Fate(change.mutant.name, change.digest, "killed", killer, how, len(tests), seconds)
            left = left[left.index(test) + 1 :]
        seconds = round(time.monotonic() - began, 1)
        return Fate(change.mutant.name, change.digest, "survived", "", "", len(tests), seconds)

    def _first_failure(self, change: Change, tests: Sequence[Test]) -> tuple[Test, str] | None:
        if not tests:
            return None
        with start(self._session.config, lambda: self._run_with(change, tests)) as child:
            for test in tests:
                said = child.read(_patience(test))
                if said != "passed":
                    return test, said or "It ended the process, or never ended."
        return None

    def _run_with(self, change: Change, tests: Sequence[Test]) -> Iterator[str]:
        with planted(change.mutant):
            for test in tests:
                error = error_of(self._item(test))
                yield "passed" if error is None else first_line(error)

    def _passes(self, test: Test) -> bool:
        """Tell whether a test passes while nothing is broken, and in good time."""
        with start(self._session.config, lambda: self._run_alone(test)) as child:
            return child.read(_patience(test) / ROOM) == "passed"

    def _run_alone(self, test: Test) -> Iterator[str]:
        yield "passed" if error_of(self._item(test)) is None else "failed"

    def _item(self, test: Test) -> pytest.Item:
        return self._session.items[test.index]


def _patience(test: Test) -> float:
    return ENDLESS_SECONDS + ENDLESS_TIMES * test.seconds
