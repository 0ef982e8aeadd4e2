"""The pytest plugin: for each mutant, plants it and runs the tests of the clause that must catch it, until one does.

All in one process and one collection: a test takes milliseconds, a process of its own would take a second. A test that
fails counts only if it passes again as soon as the mutant is gone.
"""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from perdure_mutants._judgement import Accidents, first_line, is_verdict
from perdure_mutants._mutant import Mutant, Verdict
from perdure_mutants._one_test import error_of
from perdure_mutants._plant import MisplacedError, planted

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS = re.compile(r"^test_((?:[a-z]\d+[a-z]?_)+)")
"""What a test's name begins with: the clauses, rules or invariants that it is of."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which mutants to try, and where to write what becomes of them."""
    parser.addoption("--mutants", required=True, help="file with the mutants, as JSON")
    parser.addoption("--verdicts", required=True, help="file that gets one line of JSON per mutant")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try the mutants instead of running the tests."""
    assert not session.testsfailed, "some tests could not be collected"
    mutants = msgspec.json.decode(Path(session.config.getoption("--mutants")).read_bytes(), type=list[Mutant])
    accidents = Accidents()
    logging.getLogger().addHandler(accidents)
    with Path(session.config.getoption("--verdicts")).open("a", encoding="utf-8") as file:
        file.write("begun\n")
        file.flush()
        for mutant in mutants:
            verdict = try_out(mutant, session.items, accidents)
            file.write(msgspec.json.encode(verdict).decode() + "\n")
            file.flush()
    return True


def try_out(mutant: Mutant, items: Sequence[pytest.Item], accidents: Accidents) -> Verdict:
    """Run the tests of the expected clause with a mutant in place, until one catches it."""
    try:
        with planted(mutant):
            pass
    except MisplacedError as problem:
        return Verdict(mutant.name, mutant.expected, "misplaced", how=str(problem))
    began = time.monotonic()
    accident = ""
    tests = tests_of(mutant, items)
    count = 0
    for count, item in enumerate(tests, start=1):
        accidents.found.clear()
        with planted(mutant):
            error = error_of(item)
        if error is None:
            continue
        if accidents.found or not is_verdict(error):
            accident = accident or (accidents.found or [first_line(error)])[0]
        elif error_of(item) is None:  # and without the mutant it passes
            seconds = round(time.monotonic() - began, 3)
            return Verdict(mutant.name, mutant.expected, "caught", item.name, first_line(error), count, seconds)
    outcome = "broken" if accident else "survived"
    seconds = round(time.monotonic() - began, 3)
    return Verdict(mutant.name, mutant.expected, outcome, how=accident, test_count=count, seconds=seconds)


def tests_of(mutant: Mutant, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Choose the tests that must catch a mutant: of its clause or rule, the likeliest first."""
    number = mutant.expected.lower()
    found = [item for item in items if number in _numbers_of(item) or (mutant.named and _is_named(mutant, item))]
    return sorted(found, key=lambda item: not mutant.by or mutant.by not in item.name)


def _numbers_of(item: pytest.Item) -> list[str]:
    match = NUMBERS.match(item.name)
    return match[1].split("_")[:-1] if match else []


def _is_named(mutant: Mutant, item: pytest.Item) -> bool:
    return item.name.startswith(mutant.named)
