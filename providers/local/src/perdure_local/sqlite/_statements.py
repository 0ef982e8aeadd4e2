"""Many rows with few statements.

Python's sqlite3 lets go of the GIL once per row that it steps through; beside a busy thread each of these may cost
milliseconds. And a statement's compiled form is found again only under the same text, so row counts are powers of two.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

__all__ = ["for_each_in", "insert_rows", "largest"]

_ROWS_MAX = 256
"""Of one statement: 256 rows of 10 values stay far below the 32,766 parameters that SQLite allows."""


def insert_rows(
    connection: sqlite3.Connection, into: str, rows: Sequence[tuple[object, ...]], *, on_conflict: str = ""
) -> None:
    """Insert rows.

    Args:
        connection: In a write transaction.
        into: Table and columns, `log (pos, data)`.
        rows: One tuple per row; may be empty.
        on_conflict: What follows the values.
    """
    start = 0
    while start < len(rows):
        count = min(_ROWS_MAX, 1 << ((len(rows) - start).bit_length() - 1))
        statement = _insert(into, len(rows[start]), count, on_conflict)
        connection.execute(statement, list(chain.from_iterable(rows[start : start + count])))
        start += count


def for_each_in(
    connection: sqlite3.Connection, statement: str, values: Sequence[object], *, before: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """Run a statement for a set of values.

    Args:
        connection: Any.
        statement: Ends in `IN`.
        values: What is looked for; may be empty, may repeat.
        before: Parameters of the statement before the set.

    Returns:
        The rows of all of them, in no order.
    """
    found: list[tuple[Any, ...]] = []
    for some in _padded(values):
        found += connection.execute(_with_list(statement, len(some)), [*before, *some]).fetchall()
    return found


def largest(connection: sqlite3.Connection, table: str, column: str) -> int:
    """Find the largest value of a table's integer key; 0 if the table is empty."""
    row = connection.execute(f"SELECT max({column}) FROM {table}").fetchone()  # noqa: S608 - both are ours
    return int(row[0] or 0)


def _padded(values: Sequence[object]) -> Iterator[Sequence[object]]:
    """Cut into parts of a power of two, the last filled up by repeating a value: in a set that changes nothing."""
    for start in range(0, len(values), _ROWS_MAX):
        some = list(values[start : start + _ROWS_MAX])
        size = 1 << (len(some) - 1).bit_length()
        yield some + [some[-1]] * (size - len(some))


@cache
def _insert(into: str, width: int, count: int, on_conflict: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * count)} {on_conflict}"  # noqa: S608 - all of it is ours


@cache
def _with_list(statement: str, count: int) -> str:
    return f"{statement} ({', '.join('?' * count)})"
