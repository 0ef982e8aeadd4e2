"""What `perdure provision` and `perdure doctor` share: whose places they are about, and which queues."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from perdure.hub import find_administrations, locations_of
from perdure.spi import Environment, QueueName, SystemClock, SystemEntropy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from perdure.config import Settings
    from perdure.spi import Administration, Location

__all__ = ["administrations", "queue_options", "queues_of"]


def queue_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command --turns and --tasks: which queues, instead of those of the configuration."""
    for name, what in (("tasks", "activities"), ("turns", "orchestrations")):
        told = f"A queue of {what}; several are allowed. Else those of the configuration."
        command = click.option(f"--{name}", multiple=True, metavar="QUEUE", help=told)(command)
    return command


def queues_of(settings: Settings, turns: Sequence[str], tasks: Sequence[str]) -> list[QueueName]:
    """Name the queues that are given, or else those that the configured worker serves."""
    named = {"turns": turns or settings.worker.turns, "tasks": tasks or settings.worker.tasks}
    return [QueueName(f"{kind}:{name}") for kind, names in named.items() for name in names]


@asynccontextmanager
async def administrations(settings: Settings) -> AsyncGenerator[list[tuple[Location, Administration]]]:
    """Make what sets up and examines the places of a hub, with the place of each, and close it in the end."""
    environment = Environment(SystemClock(), SystemEntropy())
    made = [(place, make(place, environment)) for place, make in find_administrations(*locations_of(settings))]
    try:
        yield made
    finally:
        for _, administration in made:
            await administration.aclose()
