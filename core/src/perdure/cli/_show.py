"""`perdure show`: one instance, with a picture of its steps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

import perdure
from perdure import events
from perdure.cli._output import glyphs, plain, screen_width, write_json, write_lines
from perdure.cli._page import Screen, page, waits_for
from perdure.cli._shell import Command, hub_options
from perdure.cli._story import Step, Story, tell
from perdure.cli._timeline import STEPS_MAX
from perdure.errors import Failure

if TYPE_CHECKING:
    from perdure.config import Settings
    from perdure.spi import Summary

__all__ = ["show"]

SECTIONS = {
    "Picture": (
        "✓ done      █ at work      ◆ event",
        "✗ failed    ▒ a failed attempt",
        "… open      ░ at work now",
        "↻ retried   · waiting for the next attempt",
        "⊘ canceled  ─ timer",
    ),
    "Examples": (
        "perdure show order-4711",
        "perdure show order-4711 --json",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("id_", metavar="ID")
@click.option("--all", "show_all", is_flag=True, help=f"Every step, where there are more than {STEPS_MAX}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@hub_options
def show(id_: str, *, show_all: bool, as_json: bool, settings: Settings) -> int:
    """Show an instance and a picture of its steps.

    Input, result or failure, what it waits for, and its steps along the time axis.
    """
    history = asyncio.run(_read(settings, id_))
    story = tell(history.records)
    now = time.time()
    if as_json:
        write_json(_object(history.summary, story, now))
        return 0
    screen = Screen(screen_width(), glyphs=glyphs(), steps_max=0 if show_all else STEPS_MAX)
    write_lines(page(history.summary, story, now=now, screen=screen))
    return 0


async def _read(settings: Settings, id_: str) -> perdure.History:
    async with perdure.connect(settings=settings) as hub:
        return await hub.history(id_)


def _object(summary: Summary, story: Story, now: float) -> dict[str, Any]:
    return {
        "id": summary.key,
        "orchestration": summary.name,
        "version": summary.version,
        "status": summary.status,
        "stalled": summary.stalled,
        "created_at": summary.created_at,
        "updated_at": summary.updated_at,
        "tags": summary.tags,
        "parent": summary.parent,
        "turns": story.turns,
        "input": None if story.started is None else plain(story.started.input),
        "result": plain(story.outcome.result) if isinstance(story.outcome, events.ExecutionCompleted) else None,
        "failure": _named(_failure(story)),
        "waits_for": waits_for(story, now),
        "steps": [_step(step) for step in story.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind.value,
        "name": step.name,
        "state": step.state.value,
        "began_at": step.began,
        "ended_at": step.ended,
        "attempts": len(step.spans),
        "due_at": step.due or None,
        "child": step.child or None,
        "failure": _named(step.failure),
    }


def _failure(story: Story) -> Failure | None:
    match story.outcome:
        case events.ExecutionFailed(failure):
            return failure
        case events.ExecutionCanceled(reason):
            return Failure("perdure.Canceled", reason, retryable=False)
        case _:
            return None


def _named(failure: Failure | None) -> dict[str, Any] | None:
    """Give a failure with the names of its fields, its causes and members likewise."""
    if failure is None:
        return None
    return {
        **msgspec.structs.asdict(failure),
        "cause": _named(failure.cause),
        "context": _named(failure.context),
        "members": [_named(member) for member in failure.members],
    }
