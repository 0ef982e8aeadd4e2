"""The picture of steps: what it looks like, line by line, at 80 columns and without colour."""

from __future__ import annotations

import pytest

from perdure.cli._story import Kind, Span, State, Step
from perdure.cli._timeline import ASCII, UNICODE, Piece, timeline
from perdure.cli._words import length

MOST = [
    Step(Kind.ACTIVITY, "issue_invoice", 1, [Span(0, 10)], State.DONE),
    Step(Kind.ACTIVITY, "notify", 2, [Span(10, 15, failed=True), Span(30, 35, failed=True), Span(70, 75)], State.DONE),
    Step(Kind.ACTIVITY, "charge", 3, [Span(10, 20, failed=True)], State.FAILED),
    Step(Kind.ACTIVITY, "remind", 4, [Span(40, 60, failed=True)], State.RETRYING, due=160),
    Step(Kind.TIMER, "", 5, [Span(75)], State.OPEN, due=12_145),
    Step(Kind.EVENT, "payment", 0, [Span(80, 80)], State.DONE),
    Step(Kind.CHILD, "ship", 6, [Span(80)], State.OPEN, child="order-4711:6"),
    Step(Kind.ACTIVITY, "pack", 7, [Span(20, 50)], State.CANCELED),
]


def draw(steps: list[Step], *, until: float = 100, width: int = 80, **options: object) -> list[str]:
    lines = timeline(steps, began=0, until=until, width=width, **options)  # type: ignore[arg-type]
    return ["".join(piece.text for piece in line) for line in lines]


def test_the_whole_picture() -> None:
    assert draw(MOST) == [
        "                               0s                                          1m40s",
        "✓ issue_invoice           10s  █████",
        "✓ notify x3             1m05s      ▒▒▒▒······▒▒▒▒················███",
        "✗ charge                  10s      ▒▒▒▒▒▒",
        "↻ remind                1m00s                     ▒▒▒▒▒▒▒▒▒▒▒···················",
        "… timer due in 3h20m      25s                                      ─────────────",
        "◆ event payment                                                       ◆",
        "… ship → order-4711:6     20s                                         ░░░░░░░░░░",
        "⊘ pack                    30s           ░░░░░░░░░░░░░░░░",
    ]


def test_the_picture_without_unicode() -> None:
    """A log file or an old terminal shows as much."""
    assert draw(MOST, glyphs=ASCII)[2:5] == [
        "+ notify x3              1m05s      xxxx......xxx................###",
        "x charge                   10s      xxxxxx",
        "~ remind                 1m00s                     xxxxxxxxxx...................",
    ]
    assert all("".join(line).isascii() for line in draw(MOST, glyphs=ASCII))


@pytest.mark.parametrize("width", [1, 40, 79, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    steps = [*MOST, Step(Kind.ACTIVITY, "🦉" * 100, 9, [Span(0)], State.OPEN)]

    assert max(map(length, draw(steps, width=width))) <= max(width, 40)


def test_without_steps_there_is_no_picture() -> None:
    assert draw([]) == []


def test_an_instance_that_took_no_time_has_a_picture() -> None:
    """Everything within one turn: began and until are equal."""
    lines = draw([Step(Kind.ACTIVITY, "a", 1, [Span(0, 0)], State.DONE)], until=0)

    assert lines[0].endswith("0s")
    assert lines[1] == "✓ a      0s  █"


def test_a_step_outside_the_axis_is_drawn_at_its_edge() -> None:
    """Clocks of workers and creators differ: an end before the beginning must not break the picture."""
    steps = [
        Step(Kind.ACTIVITY, "early", 1, [Span(-50, -40)], State.DONE),
        Step(Kind.ACTIVITY, "late", 2, [Span(150, 160)], State.DONE),
    ]

    early, late = draw(steps, width=40)[1:]

    assert early.endswith("  █")
    assert late.endswith(" " * 20 + "█")
    assert len(late) == 40


def test_of_many_steps_the_middle_is_counted() -> None:
    steps = [Step(Kind.ACTIVITY, f"a{number}", number, [Span(0, 1)], State.DONE) for number in range(1_100)]

    lines = draw(steps, steps_max=10)

    assert [line[2:7].strip() for line in lines[1:]] == [
        "a0", "a1", "a2", "a3", "a4", "1,090", "a1095", "a1096", "a1097", "a1098", "a1099",
    ]  # fmt: skip
    assert lines[6] == "⋮ 1,090 more steps"
    assert len(draw(steps, steps_max=0)) == 1_101


def test_a_name_cannot_move_the_cursor() -> None:
    (_, line) = draw([Step(Kind.EVENT, "\u202epay", 0, [Span(0, 0)], State.DONE)])

    assert "event \\u202epay" in line


def test_colours_say_nothing_that_glyphs_do_not() -> None:
    lines = timeline(MOST, began=0, until=100, width=80)

    assert lines[1][0] == Piece(UNICODE.marks[State.DONE], "green")
    assert {line[0].text for line in lines[1:]} == {"✓", "✗", "↻", "…", "◆", "⊘"}
