"""The picture of a story: a row per step, with a bar along the time axis. Pure; readable without colour.

  issue_invoice     0ms  █
✗ notify x3          7s  ▒···▒·······▒
… timer due in 3h   12s         ─────────
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from perdure.cli._story import Kind, Span, State, Step
from perdure.cli._words import duration, fit, length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ASCII", "UNICODE", "Glyphs", "Piece", "timeline"]

TOOK_WIDTH = 7
WIDTH_MIN = 40
STEPS_MAX = 60


class Piece(NamedTuple):
    """Some text and its colour, as rich names it; empty for the terminal's own."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of the picture: they tell all that colours tell."""

    marks: dict[State, str]
    work: str
    failed: str
    open: str
    wait: str
    timer: str
    event: str
    arrow: str
    more: str


UNICODE = Glyphs(
    marks={
        State.DONE: "✓",
        State.FAILED: "✗",
        State.OPEN: "…",
        State.RETRYING: "↻",
        State.CANCELED: "⊘",
    },
    work="█",
    failed="▒",
    open="░",
    wait="·",
    timer="─",
    event="◆",
    arrow="→",
    more="⋮",
)
ASCII = Glyphs(
    marks={State.DONE: "+", State.FAILED: "x", State.OPEN: ".", State.RETRYING: "~", State.CANCELED: "-"},
    work="#",
    failed="x",
    open=":",
    wait=".",
    timer="-",
    event="*",
    arrow="->",
    more=":",
)
STYLES = {
    State.DONE: "green",
    State.FAILED: "red",
    State.OPEN: "cyan",
    State.RETRYING: "yellow",
    State.CANCELED: "dim",
}


def timeline(
    steps: Sequence[Step],
    *,
    began: float,
    until: float,
    width: int,
    glyphs: Glyphs = UNICODE,
    steps_max: int = STEPS_MAX,
) -> list[tuple[Piece, ...]]:
    """Draw steps along the time axis.

    Args:
        steps: In the order in which they are drawn.
        began: Left end of the axis, seconds since the epoch.
        until: Right end: the end of the instance, or now.
        width: Columns of the terminal; below 40 counts as 40.
        glyphs: `UNICODE`, or `ASCII` where the output cannot show more.
        steps_max: Most rows; of more steps the middle is left out and counted. 0 means all.

    Returns:
        Lines without newline, the axis first; nothing if there are no steps.
    """
    if not steps:
        return []
    labels = {id(step): _label(step, until, glyphs) for step in steps}
    width = max(width, WIDTH_MIN)
    label_width = min(max(map(length, labels.values())), width * 2 // 5)
    bar_width = width - label_width - TOOK_WIDTH - 5
    axis = _Axis(began, max(until, began), bar_width)
    lines = [axis.header(label_width)]
    for step in _shortened(steps, steps_max):
        if isinstance(step, int):
            lines.append((Piece(f"{glyphs.more} {step:,} more steps", "dim"),))
        else:
            lines.append(_row(step, labels[id(step)], label_width, axis, glyphs))
    return lines


def _shortened(steps: Sequence[Step], steps_max: int) -> Iterator[Step | int]:
    if not steps_max or len(steps) <= steps_max:
        yield from steps
        return
    tail = steps_max // 2
    yield from steps[: steps_max - tail]
    yield len(steps) - steps_max
    yield from steps[len(steps) - tail :]


def _row(step: Step, label: str, label_width: int, axis: _Axis, glyphs: Glyphs) -> tuple[Piece, ...]:
    style = STYLES[step.state]
    mark = glyphs.event if step.kind is Kind.EVENT else glyphs.marks[step.state]
    took = "" if step.kind is Kind.EVENT else duration((axis.until if step.ended is None else step.ended) - step.began)
    return (
        Piece(mark, style),
        Piece(f" {fit(label, label_width)} {took:>{TOOK_WIDTH}}  "),
        Piece("".join(_bar(step, axis, glyphs)).rstrip(), style),
    )


def _label(step: Step, now: float, glyphs: Glyphs) -> str:
    attempts = f" x{len(step.spans)}" if len(step.spans) > 1 else ""
    due = f" due in {duration(step.due - now)}" if step.due else ""
    match step.kind:
        case Kind.TIMER:
            return f"timer{due}"
        case Kind.EVENT:
            return f"event {step.name}"
        case Kind.CHILD:
            return f"{step.name}{attempts} {glyphs.arrow} {step.child}"
        case Kind.ACTIVITY:
            return f"{step.name}{attempts}"


# ── bars ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where a moment is, in cells from the left."""

    began: float
    until: float
    width: int

    def header(self, label_width: int) -> tuple[Piece, ...]:
        total = duration(self.until - self.began)
        return (Piece(f"{'':{label_width + TOOK_WIDTH + 5}}{'0s':{self.width - len(total)}}{total}", "dim"),)

    def cells(self, began: float, ended: float) -> range:
        """Give the cells of a time, at least one."""
        first = min(int(self._position(began)), self.width - 1)
        last = min(max(int(self._position(ended) + 0.999), first + 1), self.width)
        return range(first, last)

    def _position(self, moment: float) -> float:
        total = self.until - self.began
        return min(max((moment - self.began) / total, 0.0), 1.0) * self.width if total else 0.0


def _bar(step: Step, axis: _Axis, glyphs: Glyphs) -> list[str]:
    bar = [" "] * axis.width
    until = axis.until if step.ended is None else step.ended
    if len(step.spans) > 1 or step.state is State.RETRYING:
        _paint(bar, axis.cells(step.began, until), glyphs.wait)
    for span in step.spans:
        _paint(bar, axis.cells(span.began, axis.until if span.ended is None else span.ended), _fill(step, span, glyphs))
    return bar


def _fill(step: Step, span: Span, glyphs: Glyphs) -> str:
    if step.kind is Kind.EVENT:
        return glyphs.event
    if step.kind is Kind.TIMER:
        return glyphs.timer
    if span.failed:
        return glyphs.failed
    return glyphs.open if span.ended is None or step.state is State.CANCELED else glyphs.work


def _paint(bar: list[str], cells: range, glyph: str) -> None:
    for cell in cells:
        bar[cell] = glyph
