"""Times, sizes and foreign text, as people read them in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["clock_time", "date_time", "duration", "fit", "length", "printable", "size", "wrap"]

MINUTE, HOUR, DAY = 60, 3_600, 86_400
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1_024


def duration(seconds: float) -> str:
    """Write a duration in at most seven characters: `12ms`, `1.2s`, `3m12s`, `2h05m`, `14d06h`."""
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:  # noqa: PLR2004 - what would be written as 1000ms
        return f"{seconds * 1000:.0f}ms" if seconds else "0s"
    if seconds < 9.95:  # noqa: PLR2004 - what would be written as 10.0s
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m{whole % MINUTE:02}s"
    if whole < DAY:
        return f"{whole // HOUR}h{whole % HOUR // MINUTE:02}m"
    return f"{whole // DAY}d{whole % DAY // HOUR:02}h" if whole < 100 * DAY else f"{whole // DAY}d"


def date_time(moment: float, zone: tzinfo | None) -> str:
    """Write a moment with its date; `zone` None is the machine's."""
    return _local(moment, zone).strftime("%Y-%m-%d %H:%M:%S")


def clock_time(moment: float, zone: tzinfo | None) -> str:
    """Write a moment of a day that is known, to the millisecond."""
    return _local(moment, zone).strftime("%H:%M:%S.%f")[:-3]


def _local(moment: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone(zone)


def size(count: int) -> str:
    """Write a number of bytes: `64 KiB`."""
    amount = float(count)
    for unit in _UNITS[:-1]:
        if amount < _STEP:
            return f"{amount:.3g} {unit}" if amount < 100 else f"{amount:.0f} {unit}"  # noqa: PLR2004 - no 1.02e+03
        amount /= _STEP
    return f"{amount:,.0f} {_UNITS[-1]}"


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor or turn its direction: ids and messages come from anywhere."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def fit(text: str, width: int) -> str:
    """Make a text exactly `width` cells wide, cut with `…` or padded; emoji and CJK take two cells."""
    text = printable(text)
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def length(text: str) -> int:
    """Count the cells that `printable(text)` takes in a terminal."""
    return cell_len(printable(text))


def wrap(text: str, width: int, lines_max: int) -> list[str]:
    """Break a line at cells, not at words: JSON has few. What is beyond the last line is cut with `…`."""
    lines: list[str] = []
    while cell_len(text) > width and len(lines) < lines_max - 1:
        line = set_cell_size(text, width).rstrip()
        head = text[: len(line)] if text.startswith(line) else text[:width]
        lines.append(head)
        text = text[len(head) :].lstrip()
    return [*lines, fit(text, width).rstrip()]
