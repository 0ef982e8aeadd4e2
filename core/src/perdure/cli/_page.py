"""What `perdure show` says about an instance, as lines. Pure: time, width and zone are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure import events
from perdure.authoring import show
from perdure.cli._story import Kind, State, Step, Story
from perdure.cli._timeline import STEPS_MAX, UNICODE, Glyphs, Piece, timeline
from perdure.cli._words import date_time, duration, printable, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from perdure.errors import Failure
    from perdure.spi import Summary

__all__ = ["Screen", "failures", "page", "waits_for"]

HEAD_WIDTH = 11
WAITS_MAX = 5
PERHAPS_AN_EVENT = "an event, perhaps"
VALUE_LINES_MAX = 3
STATUS_STYLES = {"Completed": "bold green", "Failed": "bold red", "Running": "bold cyan", "Pending": "bold cyan"}


@dataclass(frozen=True, slots=True)
class Screen:
    """What a page is drawn for: `zone` None is the machine's."""

    width: int = 80
    zone: tzinfo | None = None
    glyphs: Glyphs = UNICODE
    steps_max: int = STEPS_MAX


def page(summary: Summary, story: Story, *, now: float, screen: Screen) -> list[tuple[Piece, ...]]:
    """Describe an instance: a few facts, then its steps along the time axis.

    Args:
        summary: What a listing shows of it.
        story: Its history.
        now: Where the time axis of an instance that still runs ends, seconds since the epoch.
        screen: What it is drawn for.
    """
    until = story.now if story.outcome is not None else max(now, story.now)
    lines = [_title(summary, story, until), *_facts(summary, story, now, screen)]
    picture = timeline(
        story.steps,
        began=summary.created_at,
        until=until,
        width=screen.width,
        glyphs=screen.glyphs,
        steps_max=screen.steps_max,
    )
    return [*lines, (), *picture] if picture else lines


def waits_for(story: Story, now: float) -> list[str]:
    """Say what an instance waits for, most urgent first; nothing if it is closed or stalled."""
    if story.outcome is not None or story.stalled is not None or story.started is None:
        return []
    if not story.turns:
        start = story.started.scheduled_start
        if start > now:
            return [f"its start, due in {duration(start - now)}"]
        return [f"a worker that runs {story.started.name} from queue {story.started.queue}"]
    waits = [_wait(step, now) for step in story.steps if step.ended is None]
    if story.arrived:
        waits.insert(0, "a worker: input has arrived")
    if all(step.kind is Kind.TIMER for step in story.steps if step.ended is None):
        # Waiting for an event leaves no trace in a history: it asks nobody for anything.
        waits.append(PERHAPS_AN_EVENT)
    return waits


def failures(failure: Failure) -> Iterator[str]:
    """Write a failure and its causes, one line each."""
    yield printable(str(failure))
    for member in failure.members:
        yield f"  with {printable(str(member))}"
    cause = failure.cause or failure.context
    while cause is not None:
        yield f"  because of {printable(str(cause))}"
        cause = cause.cause or cause.context


def _wait(step: Step, now: float) -> str:
    match step.kind:
        case Kind.TIMER:
            return _due("a timer", step.due - now)
        case Kind.CHILD if step.state is State.OPEN:
            return f"sub-orchestration {printable(step.child)}"
        case _ if step.state is State.RETRYING:
            return _due(f"attempt {len(step.spans) + 1} of {printable(step.name)}", step.due - now)
        case _:
            return f"activity {printable(step.name)}"


def _due(what: str, seconds: float) -> str:
    return f"{what}, due in {duration(seconds)}" if seconds > 0 else f"{what}, due since {duration(-seconds)}"


def _title(summary: Summary, story: Story, until: float) -> tuple[Piece, ...]:
    took = duration(until - summary.created_at)
    state = f"{summary.status}, stalled" if summary.stalled else summary.status
    style = "bold yellow" if summary.stalled else STATUS_STYLES.get(summary.status, "bold")
    after = "in" if story.outcome is not None else "for"
    return (
        Piece(printable(summary.key), "bold"),
        Piece(f"  {printable(summary.name)}{f' {summary.version}' if summary.version else ''}  "),
        Piece(f"{state}", style),
        Piece(f" {after} {took}"),
    )


def _facts(summary: Summary, story: Story, now: float, screen: Screen) -> Iterator[tuple[Piece, ...]]:
    facts = [("started", f"{date_time(summary.created_at, screen.zone)}, {_counted(story.turns, 'turn')}")]
    if summary.tags:
        facts.append(("tags", ", ".join(f"{printable(tag)}={printable(value)}" for tag, value in summary.tags.items())))
    if summary.parent:
        facts.append(("parent", printable(summary.parent)))
    if story.started is not None:
        facts.append(("input", _value(story.started.input)))
    facts += _state_facts(story, now)
    for head, text in facts:
        lines = _folded(text, screen.width - HEAD_WIDTH)
        for index, line in enumerate(lines):
            yield (Piece(f"{'' if index else head:{HEAD_WIDTH}}", "dim"), Piece(line))


def _state_facts(story: Story, now: float) -> Iterator[tuple[str, str]]:
    match story.outcome:
        case events.ExecutionCompleted(result):
            yield "result", _value(result)
        case events.ExecutionFailed(failure):
            yield "failure", "\n".join(failures(failure))
        case events.ExecutionCanceled(reason):
            yield "canceled", printable(reason)
        case None if story.stalled is not None:
            yield "stalled", printable(story.stalled.reason)
        case _:
            waits = waits_for(story, now)
            shown = waits[:WAITS_MAX]
            more = [f"and {len(waits) - len(shown):,} more"] if len(waits) > len(shown) else []
            yield "waits for", "\n".join([*shown, *more])


def _value(payload: events.Payload) -> str:
    if isinstance(payload, events.PayloadRef):
        return f"<{payload.length:,} bytes>"
    return show(payload)


def _folded(text: str, width: int) -> Sequence[str]:
    """Fold a value to a few lines: a page shows what a thing is, `perdure history` shows all of it."""
    return [line for part in text.split("\n") for line in wrap(part, max(width, 20), VALUE_LINES_MAX)]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
