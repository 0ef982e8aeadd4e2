"""A process of the simulation, as the loop sees it: everything that began in it, alive, paused or gone."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Life", "context_of", "life_of"]


@dataclass(eq=False, slots=True)
class Life:
    """Whether a process runs, and what will happen to it.

    Attributes:
        name: `w1.2` is the second process of worker 1.
        dies_at: Steps of its tasks after which it dies in the middle; 0 means that it does not.
        pauses_at: Steps after which it stands still, as under a debugger or a full disk; 0 means that it does not.
        pause_seconds: How long.
        on_death: Called when it dies by itself.
        on_pause: Called when it begins to stand still.
        is_over: It is dead: nothing of it runs ever again, no `finally` either.
        is_paused: It stands still.
        steps: Steps of its tasks so far.
        task_count: Tasks that it has made.
        held: What became ready while it stood still, or was dead.
    """

    name: str
    dies_at: int = 0
    pauses_at: int = 0
    pause_seconds: float = 0.0
    on_death: Callable[[], object] = lambda: None
    on_pause: Callable[[], object] = lambda: None
    is_over: bool = False
    is_paused: bool = False
    steps: int = 0
    task_count: int = 0
    held: list[asyncio.Handle] = field(default_factory=list[asyncio.Handle])

    def die(self) -> None:
        """End it, without a word to anything that runs in it."""
        if not self.is_over:
            self.is_over = True
            self.on_death()


_life: contextvars.ContextVar[Life | None] = contextvars.ContextVar("perdure_simulated_process", default=None)


def life_of(context: contextvars.Context | None = None) -> Life | None:
    """Find the process that a context belongs to, by default the running one; None is the world outside of all."""
    return _life.get() if context is None else context.get(_life)


def context_of(life: Life) -> contextvars.Context:
    """Give a context in which everything belongs to a process."""
    context = contextvars.copy_context()
    context.run(_life.set, life)
    return context
