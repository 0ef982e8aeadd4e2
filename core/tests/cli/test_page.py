"""What `show` says of an instance, what `history` says of an event, and what an instance waits for."""

from __future__ import annotations

from datetime import UTC
from typing import Any, get_args

import msgspec
import pytest

from perdure import events
from perdure.cli._lines import describe
from perdure.cli._page import Screen, failures, page, waits_for
from perdure.cli._progress import finished_steps
from perdure.cli._story import Kind, Span, State, Step, Story
from perdure.errors import Failure
from perdure.spi import Summary

SCREEN = Screen(60, UTC)
CAUSE = Failure("shop.Jam", "paper jam\nin tray 2")
BROKEN = Failure("RuntimeError", "printer on fire", cause=CAUSE)


def pack(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def started(**fields: Any) -> events.ExecutionStarted:
    return events.ExecutionStarted("invoicing", pack(["o-1"]), seed=1, created_at=100.0, **fields)


def summary(status: str = "Running", **fields: Any) -> Summary:
    return Summary("order-1", "invoicing", status, "inc", 0, 100.0, 100.0, **fields)


def story(*steps: Step, **fields: Any) -> Story:
    return Story(started=started(), steps=list(steps), turns=2, now=110.0, **fields)


def text(told: Story, shown: Summary, *, now: float = 120.0, screen: Screen = SCREEN) -> list[str]:
    return ["".join(piece.text for piece in line).rstrip() for line in page(shown, told, now=now, screen=screen)]


def test_a_page_of_an_instance_that_runs() -> None:
    notify = Step(Kind.ACTIVITY, "notify", 1, [Span(105)])
    tagged = summary(tags={"customer": "acme"}, version="2", parent="batch-7")

    assert text(story(notify), tagged) == [
        "order-1  invoicing 2  Running for 20s",
        "started    1970-01-01 00:01:40, 2 turns",
        "tags       customer=acme",
        "parent     batch-7",
        'input      ["o-1"]',
        "waits for  activity notify",
        "",
        "                  0s                                     20s",
        "… notify     15s            ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░",
    ]


def test_a_page_of_an_instance_that_ended_ends_at_its_end() -> None:
    told = story(outcome=events.ExecutionCompleted(pack({"invoice": "INV-1"})))

    lines = text(told, summary("Completed"), now=9_999.0)

    assert lines[0] == "order-1  invoicing  Completed in 10s"
    assert lines[-1] == 'result     {"invoice": "INV-1"}'


def test_a_failure_is_shown_with_its_causes() -> None:
    lines = text(story(outcome=events.ExecutionFailed(BROKEN)), summary("Failed"))

    assert lines[-2:] == [
        "failure    RuntimeError: printer on fire",
        "             because of shop.Jam: paper jam\\nin tray 2",
    ]


def test_a_failure_is_shown_with_its_members() -> None:
    group = Failure("ExceptionGroup", "two", members=(BROKEN, CAUSE), context=CAUSE)

    assert list(failures(group)) == [
        "ExceptionGroup: two",
        "  with RuntimeError: printer on fire",
        "  with shop.Jam: paper jam\\nin tray 2",
        "  because of shop.Jam: paper jam\\nin tray 2",
    ]


def test_why_an_instance_stalls_is_shown() -> None:
    told = story(stalled=events.TurnFailed(BROKEN, "waits for a worker that knows it"))

    lines = text(told, summary(stalled="waits for a worker that knows it"))

    assert lines[0] == "order-1  invoicing  Running, stalled for 20s"
    assert lines[-1] == "stalled    waits for a worker that knows it"


def test_a_canceled_instance_shows_its_reason() -> None:
    assert text(story(outcome=events.ExecutionCanceled("its parent is gone")), summary("Canceled"))[-1] == (
        "canceled   its parent is gone"
    )


def test_a_long_value_takes_three_lines() -> None:
    told = story(outcome=events.ExecutionCompleted(pack("x" * 500)))

    lines = text(told, summary("Completed"))

    assert [len(line) for line in lines[-3:]] == [60, 60, 60]
    assert lines[-1].endswith("x…")


def test_a_payload_out_of_line_is_shown_by_its_size() -> None:
    told = story(outcome=events.ExecutionCompleted(events.PayloadRef("x", 4_200_000, "00")))

    assert text(told, summary("Completed"))[-1] == "result     <4,200,000 bytes>"


def test_an_instance_that_waits_for_much_shows_the_first_five() -> None:
    lines = text(story(*(Step(Kind.CHILD, "ship", n, [Span(105)], child=f"c{n}") for n in range(8))), summary())

    assert lines[3:9] == [
        "waits for  sub-orchestration c0",
        *(f"           sub-orchestration c{n}" for n in range(1, 5)),
        "           and 3 more",
    ]


@pytest.mark.parametrize(
    ("step", "waits"),
    [
        (Step(Kind.ACTIVITY, "notify", 1, [Span(1)]), ["activity notify"]),
        (
            Step(Kind.ACTIVITY, "notify", 1, [Span(1, 2, failed=True)], State.RETRYING, due=132.0),
            ["attempt 2 of notify, due in 12s"],
        ),
        (
            Step(Kind.CHILD, "ship", 1, [Span(1, 2, failed=True)], State.RETRYING, due=110.0),
            ["attempt 2 of ship, due since 10s"],
        ),
        (Step(Kind.CHILD, "ship", 1, [Span(1)], child="o:1"), ["sub-orchestration o:1"]),
        (Step(Kind.TIMER, "", 1, [Span(1)], due=3_720.0), ["a timer, due in 1h00m", "an event, perhaps"]),
        (Step(Kind.ACTIVITY, "notify", 1, [Span(1, 2)], State.DONE), ["an event, perhaps"]),
    ],
)
def test_what_an_instance_waits_for(step: Step, waits: list[str]) -> None:
    assert waits_for(story(step), 120.0) == waits


def test_an_instance_that_nobody_ran_waits_for_a_worker_or_its_start() -> None:
    fresh = Story(started=started(queue="mail"), now=100.0)
    later = Story(started=started(scheduled_start=180.0), now=100.0)

    assert waits_for(fresh, 120.0) == ["a worker that runs invoicing from queue mail"]
    assert waits_for(later, 120.0) == ["its start, due in 1m00s"]


def test_input_that_has_arrived_waits_for_a_worker() -> None:
    assert waits_for(story(Step(Kind.ACTIVITY, "a", 1, [Span(1)]), arrived=1), 120.0)[0] == (
        "a worker: input has arrived"
    )


def test_a_closed_or_stalled_instance_waits_for_nothing() -> None:
    assert waits_for(story(outcome=events.ExecutionCanceled("")), 120.0) == []
    assert waits_for(story(stalled=events.TurnFailed(BROKEN, "why")), 120.0) == []


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PARENT = events.Parent("batch-7", "inc", 0, 3, "default")


LINES: list[tuple[events.HistoryEvent, str]] = [
    (events.TurnStarted(1.0, "host-1", "c0de", 12), "turn on host-1 (code c0de, Python 3.12)"),
    (started(version="2", parent=PARENT), 'started invoicing 2 by batch-7 with ["o-1"]'),
    (events.ExecutionCompleted(pack(1)), "completed with 1"),
    (events.ExecutionFailed(CAUSE), "failed: shop.Jam: paper jam\\nin tray 2"),
    (events.ExecutionCanceled("gone"), "canceled: gone"),
    (events.TaskScheduled(1, "notify", pack([]), queue="mail"), "#1 asked for activity notify on queue mail with []"),
    (
        events.TaskScheduled(3, "notify", pack([]), attempt=2, attempt_of=1),
        "#3 asked for activity notify (attempt 2 of #1) with []",
    ),
    (
        events.SubOrchestrationCreated(2, "ship", "o:2", pack([])),
        "#2 asked for sub-orchestration ship as o:2 with []",
    ),
    (events.TaskCompleted(1, pack("x")), '#1 returned "x"'),
    (events.SubOrchestrationCompleted(2, events.PayloadRef("p", 5_000, "")), "#2 returned <5,000 bytes>"),
    (events.TaskFailed(1, CAUSE), "#1 failed: shop.Jam: paper jam\\nin tray 2"),
    (events.SubOrchestrationFailed(2, BROKEN), "#2 failed: RuntimeError: printer on fire"),
    (events.TaskCancelRequested(1), "#1 is no longer wanted"),
    (events.TimerCreated(4, 160.0), "#4 timer set for 1m00s"),
    (events.TimerFired(4), "#4 timer fired"),
    (events.TimerCanceled(4), "#4 timer is no longer wanted"),
    (events.EventRaised("pay\x1bment", pack({"a": 1}), "m"), 'event pay\\x1bment arrived with {"a": 1}'),
    (events.TurnFailed(BROKEN, "no code"), "stalled: no code"),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_every_event_has_a_line(event: events.HistoryEvent, line: str) -> None:
    assert describe(event, now=100.0) == line


def test_no_kind_of_event_is_without_a_line() -> None:
    assert {type(event) for event, _ in LINES} == set(get_args(events.HistoryEvent))


# ── progress ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_finished_step_is_shown_once() -> None:
    done = Step(Kind.ACTIVITY, "notify", 1, [Span(1, 2, failed=True), Span(3, 4)], State.DONE)
    failed = Step(Kind.ACTIVITY, "charge", 2, [Span(1, 2, failed=True)], State.FAILED, failure=CAUSE)
    waiting = Step(Kind.TIMER, "", 3, [Span(1)], due=9.0)
    payment = Step(Kind.EVENT, "payment", 0, [Span(4, 4)], State.DONE)
    told = story(done, failed, waiting, payment)
    shown: set[int] = set()

    first = ["".join(piece.text for piece in line) for line in finished_steps(told, shown)]
    waiting.state, waiting.spans[0].ended = State.DONE, 9.0
    second = ["".join(piece.text for piece in line) for line in finished_steps(told, shown)]

    assert first == [
        "✓ notify x2  3.0s",
        "✗ charge  1.0s  shop.Jam: paper jam\\nin tray 2",
        "◆ event payment",
    ]
    assert second == ["✓ timer  8.0s"]
    assert finished_steps(told, shown) == []
