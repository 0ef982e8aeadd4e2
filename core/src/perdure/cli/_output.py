"""Writing for people and for programs: tables, coloured lines, JSON lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from perdure import events
from perdure.cli._timeline import ASCII, UNICODE, Glyphs, Piece
from perdure.cli._words import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["as_json", "can_show", "glyphs", "plain", "screen_width", "write_json", "write_lines", "write_table"]


def as_json(value: object) -> str:
    """Write recorded data as JSON: what JSON lacks becomes text."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def plain(payload: events.Payload) -> Any:
    """Give recorded data as plain values, for `as_json`; never an error."""
    if isinstance(payload, events.PayloadRef):
        return {"bytes": payload.length}
    try:
        return msgspec.msgpack.decode(payload)
    except (msgspec.MsgspecError, ValueError):
        return payload


def write_json(value: object) -> None:
    """Write one JSON value on one line."""
    click.echo(as_json(value))


def write_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Write a table without lines; nothing is cut, so that what is copied or piped is whole.

    Args:
        headers: Titles of the columns.
        rows: Cells, escaped here.
        right: Indexes of columns that are aligned right.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in [headers, *cells]) for column in range(len(headers))]
    for row, style in [(headers, "bold"), *((row, "") for row in cells)]:
        padded = [
            " " * (width - cell_len(cell)) + cell if column in right else cell + " " * (width - cell_len(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        write_lines([(Piece("  ".join(padded), style),)])


def write_lines(lines: Iterable[Sequence[Piece]]) -> None:
    """Write lines as they are, coloured where the terminal can and NO_COLOR is not set."""
    console = _console()
    for line in lines:
        text = Text.assemble(*((piece.text, piece.style) for piece in line))
        text.rstrip()
        console.print(text, soft_wrap=True)


def screen_width() -> int:
    """Tell how many columns a picture may take: those of the terminal, or of COLUMNS; 80 where there is neither."""
    return _console().width


def glyphs() -> Glyphs:
    """Choose the characters that the output can show."""
    return UNICODE if can_show("".join(UNICODE.marks.values()) + "█▒░·─◆→⋮") else ASCII


def can_show(text: str) -> bool:
    """Tell whether the encoding of stdout has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


class _Screen(Console):
    """A console that leaves a reader that has gone to the exit codes of the command line."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console() -> Console:
    return _Screen(file=sys.stdout, highlight=False, markup=False, emoji=False)
