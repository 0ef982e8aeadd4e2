"""Every numbered clause, read from the docstring of the interface that promises it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from perdure.spi import Committer, HistoryStore, WorkQueue

__all__ = ["CLAUSES", "Clause", "clauses_in"]

_NUMBER = re.compile(r"(?P<id>[A-Z]+\d+)\s+(?P<text>\S.*)")


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise.

    Attributes:
        id: Such as `H2`.
        text: The promise, on one line.
        interface: Name of the class in `perdure.spi` that makes it.
    """

    id: str
    text: str
    interface: str


def clauses_in(interface: type) -> list[Clause]:
    """Read the clauses of an interface, in their order; a clause goes on in indented lines."""
    found: list[tuple[str, list[str]]] = []
    goes_on = False
    for line in inspect.cleandoc(interface.__doc__ or "").splitlines():
        if begun := _NUMBER.fullmatch(line):
            found.append((begun["id"], [begun["text"]]))
            goes_on = True
        elif goes_on and line.startswith(" "):
            found[-1][1].append(line.strip())
        else:
            goes_on = False
    return [Clause(number, " ".join(lines), interface.__name__) for number, lines in found]


CLAUSES = {clause.id: clause for interface in (HistoryStore, WorkQueue, Committer) for clause in clauses_in(interface)}
