"""Which test runs which lines of a package: one that runs none of a mutant's cannot notice it."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from perdure_mutants._fork import start
from perdure_mutants._one_test import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    import pytest

__all__ = ["Test", "look_at"]

TEST_SECONDS = 300.0
"""How long one test may take that nothing was done to."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a test does while nothing is broken.

    Attributes:
        index: Its place in the session.
        seconds: How long it took, while every line was counted.
        lines: File and number of each line of the package that it ran.
    """

    index: int
    seconds: float
    lines: frozenset[tuple[str, int]]


class FailsAnywayError(Exception):
    """A test fails while nothing is broken: mend it first, it would kill every mutant."""


def look_at(session: pytest.Session, package: str) -> list[Test]:
    """Run every test once, in a child.

    Args:
        session: Collected.
        package: Dotted name of what is mutated.

    Raises:
        FailsAnywayError: The message names the test.
    """
    found: list[Test] = []
    with start(session.config, lambda: _run(session.items, package)) as child:
        for item in session.items:
            line = child.read(TEST_SECONDS)
            if line is None or not line.startswith("{"):
                raise FailsAnywayError(f"{item.nodeid}: {line or 'it did not end'}")
            found.append(msgspec.json.decode(line, type=Test))
    return found


def _run(items: Sequence[pytest.Item], package: str) -> Iterator[str]:
    modules = [module for name, module in sys.modules.items() if f"{name}.".startswith(f"{package}.")]
    files = {module.__file__ or "" for module in modules}
    for index, item in enumerate(items):
        _forget_answers(modules)
        lines: set[tuple[str, int]] = set()
        trace = _tracer(files, lines)
        threading.settrace(trace)
        sys.settrace(trace)
        began = time.monotonic()
        error = error_of(item)
        sys.settrace(None)
        if error is not None:
            raise error
        yield msgspec.json.encode(Test(index, round(time.monotonic() - began, 3), frozenset(lines))).decode()


def _forget_answers(modules: Sequence[Any]) -> None:
    """Empty caches: what one test has had computed, the next would not run any more."""
    for module in modules:
        for thing in vars(module).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()


def _tracer(files: set[str], lines: set[tuple[str, int]]) -> Any:
    def count(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return count

    def enter(frame: FrameType, _event: str, _: object) -> Any:
        return count if frame.f_code.co_filename in files else None

    return enter
