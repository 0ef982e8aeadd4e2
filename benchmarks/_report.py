"""What a run gives: a report that is written as JSON and shown as a table."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec
from _machine import Machine
from _numbers import GOALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _numbers import Goal, Number

SCHEMA = 1
"""Of the JSON: rises when a reader of the old one would misread the new one."""

GOALS_ARE_FOR = ("sqlite", "full")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the report.

    Attributes:
        name: What it is.
        value: The median of the rounds.
        unit: Of the value and of the goal.
        rounds: The value of each round, in order.
        goal: Such as `≤ 1.3`; None where there is none for this provider and size.
        met: Whether the median meets the goal; None where there is none.
    """

    name: str
    value: float
    unit: str
    rounds: list[float]
    goal: str | None
    met: bool | None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of the report.

    Attributes:
        name: Of the measurement.
        about: In a few words.
        seconds: How long all rounds took.
        lines: Its numbers; empty if every round failed.
        errors: Of rounds that failed.
    """

    name: str
    about: str
    seconds: float
    lines: list[Line]
    errors: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        schema: Of this JSON.
        scheme: Of the hubs.
        size: `full`, `quick` or `tiny`.
        rounds: How often everything was measured.
        began_at: UTC, ISO 8601.
        machine: On what.
        sections: In the order of measuring.
    """

    schema: int
    scheme: str
    size: str
    rounds: int
    began_at: str
    machine: Machine
    sections: list[Section]


def sum_up(measurement: str, rounds: Sequence[Sequence[Number]], *, has_goals: bool) -> list[Line]:
    """Put the rounds of one measurement together, number by number.

    Args:
        measurement: By name.
        rounds: The numbers of each round that did not fail.
        has_goals: Whether the goals are for a run like this one.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for numbers in rounds:
        for number in numbers:
            values.setdefault((number.name, number.unit), []).append(number.value)
    return [
        _line(name, unit, found, GOALS.get((measurement, name)) if has_goals else None)
        for (name, unit), found in values.items()
    ]


def _line(name: str, unit: str, values: list[float], goal: Goal | None) -> Line:
    value = statistics.median(values)
    return Line(
        name=name,
        value=value,
        unit=unit,
        rounds=values,
        goal=None if goal is None else f"{goal.sign} {goal.bound:g}",
        met=None if goal is None else goal.is_met(value),
    )


def table(report: Report) -> str:
    """Show a report as text."""
    head = ("measurement", "number", "value", "unit", "goal", "")
    rows = [head, *(row for section in report.sections for row in _rows(section))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_justified(row, widths) for row in rows]
    lines.insert(1, "─" * max(map(len, lines)))
    errors = [f"\n{error.strip()}" for section in report.sections for error in section.errors]
    return "\n".join([_heading(report), "", *lines, *errors])


def _heading(report: Report) -> str:
    machine = report.machine
    return (
        f"Perdure {machine.perdure} on {report.scheme}:, size {report.size}, {report.rounds} round(s), "
        f"{report.began_at}\n{machine.python}, SQLite {machine.sqlite}, {machine.core_count} cores "
        f"({machine.processor}), {machine.system}, {machine.file_system}, load average {machine.load_average:g} before"
    )


def _rows(section: Section) -> list[tuple[str, ...]]:
    marks = {None: "", True: "met", False: "missed"}
    rows: list[tuple[str, ...]] = [
        (section.name, line.name, shown(line.value), line.unit, line.goal or "", marks[line.met])
        for line in section.lines
    ]
    return [*rows, *[(section.name, "FAILED, see below", "", "", "", "")] * bool(section.errors)]


def _justified(row: Sequence[str], widths: Sequence[int]) -> str:
    name, number, value, *rest = [
        cell.rjust(width) if column == VALUE else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join([name, number, value, *rest]).rstrip()


VALUE = 2
"""The column that is aligned to the right."""


def shown(value: float) -> str:
    """Write a number with three digits, or all of its whole ones."""
    if abs(value) >= 100 or value == int(value):  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"
