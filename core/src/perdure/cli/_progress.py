"""What `perdure run` shows on a terminal while it waits: a line per finished step, and what it waits for."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from perdure.cli._page import waits_for
from perdure.cli._shell import notice
from perdure.cli._story import Kind, State, Step, Story, tell
from perdure.cli._timeline import STYLES, UNICODE, Piece
from perdure.cli._words import duration, printable

if TYPE_CHECKING:
    import perdure

__all__ = ["Progress", "finished_steps"]

LOOK_AGAIN_SECONDS = 0.25
STALLED_LOOK_SECONDS, QUIET_LOOK_SECONDS, PAUSE_SECONDS = 2.0, 20.0, 1.0
WAITS_MAX = 3


class Progress:
    """Shows on stderr how one instance gets on. Without a terminal, only why it stalls."""

    def __init__(self, hub: perdure.Hub, instance_id: str) -> None:
        self._hub = hub
        self._id = instance_id
        self._shown: set[int] = set()
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    async def watch(self) -> None:
        """Show what happens, until cancelled."""
        if not self._console.is_terminal:
            await _watch_stalling(self._hub, self._id)
            return
        # What activities print goes above the line that changes; a pipe on stdout is left alone.
        is_screen = sys.stdout.isatty()
        with Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=is_screen) as live:
            history = await self._hub.history(self._id)
            while True:
                story = tell(history.records)
                self._print(story)
                live.update(Text(_waiting(story), "dim", no_wrap=True, overflow="ellipsis"), refresh=True)
                if await self._hub.changed(self._id, history, LOOK_AGAIN_SECONDS):
                    history = await self._hub.history(self._id)

    async def show_rest(self) -> None:
        """Show what happened since the last look."""
        if self._console.is_terminal:
            self._print(tell((await self._hub.history(self._id)).records))

    def _print(self, story: Story) -> None:
        for pieces in finished_steps(story, self._shown):
            self._console.print(Text.assemble(*pieces), soft_wrap=True)


def finished_steps(story: Story, shown: set[int]) -> list[tuple[Piece, ...]]:
    """Write the steps that ended and are not in `shown`, a set of their indexes, and add them to it."""
    fresh = [index for index, step in enumerate(story.steps) if step.ended is not None and index not in shown]
    shown.update(fresh)
    return [_line(story.steps[index]) for index in fresh if story.steps[index].state is not State.CANCELED]


def _line(step: Step) -> tuple[Piece, ...]:
    mark = Piece(UNICODE.event if step.kind is Kind.EVENT else UNICODE.marks[step.state], STYLES[step.state])
    name = {Kind.TIMER: "timer", Kind.EVENT: f"event {step.name}"}.get(step.kind, step.name)
    took = "" if step.ended is None or step.kind is Kind.EVENT else f"  {duration(step.ended - step.began)}"
    attempts = f" x{len(step.spans)}" if len(step.spans) > 1 else ""
    failure = "" if step.failure is None or step.state is not State.FAILED else f"  {step.failure}"
    return (mark, Piece(printable(f" {name}{attempts}")), Piece(took, "dim"), Piece(printable(failure), "red"))


def _waiting(story: Story) -> str:
    if story.stalled is not None:
        return printable(f"stalled: {story.stalled.reason}")
    waits = waits_for(story, time.time())
    more = f" and {len(waits) - WAITS_MAX} more" if len(waits) > WAITS_MAX else ""
    return f"… {', '.join(waits[:WAITS_MAX])}{more}" if waits else ""


async def _watch_stalling(hub: perdure.Hub, instance_id: str) -> None:
    seen = said = ""
    while True:
        history = await hub.history(instance_id)
        reason = history.summary.stalled
        if reason and reason == seen != said:  # Seen twice: what stalled it before may be mended by this very worker.
            notice(printable(f"{instance_id} is stalled: {reason}"))
            said = reason
        seen = reason
        await hub.changed(instance_id, history, STALLED_LOOK_SECONDS if seen != said else QUIET_LOOK_SECONDS)
        await asyncio.sleep(
            PAUSE_SECONDS
        )  # To read a long history at each of its many turns would cost more than they.
