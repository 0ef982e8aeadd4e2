"""Mutants as values: what is broken, which promise must notice, and how the fault is planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["OUTCOMES", "Edit", "Mutant", "Verdict"]

OUTCOMES: Final = ("caught", "survived", "broken", "misplaced", "died")
"""What becomes of a mutant: caught by a test of the expected clause or rule; not noticed by any of them; only ever met
by an exception that is no verdict, such as a NameError of the mutant itself; not fitting the source any more; taking
its process along or never ending."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Other text in the source of one function.

    Attributes:
        where: `module:Qualified.name` of the function, method or property.
        old: Text that the function's source, unindented, holds exactly once.
        new: What stands there instead.
    """

    where: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault.

    Attributes:
        name: Unique, and says what is wrong.
        expected: Clause (H1 to C6), rule (R1 to R19) or invariant (S1 to S8) whose tests must fail.
        breaks: What a user would lose by it.
        plants: The edits, all at once.
        by: Part of the name of the test that is tried first, if the others are slow.
        named: Beginnings of test names that stand for `expected`, where no test bears its number.
    """

    name: str
    expected: str
    breaks: str
    plants: tuple[Edit, ...]
    by: str = ""
    named: tuple[str, ...] = ()

    @property
    def is_of_a_provider(self) -> bool:
        """Whether a contract must catch it, and not a rule of core."""
        return self.expected[0] in "HQC"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        mutant: Its name.
        expected: As the mutant says.
        outcome: One of `OUTCOMES`.
        caught_by: The test that failed; empty if none did.
        how: The first line of what that test, or the exception that was no verdict, said.
        test_count: Tests that were run.
        seconds: How long that took.
    """

    mutant: str
    expected: str
    outcome: str
    caught_by: str = ""
    how: str = ""
    test_count: int = 0
    seconds: float = 0.0
