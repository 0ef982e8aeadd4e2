"""`perdure worker`: run what others start, until told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Any

import click

import perdure
from perdure.cli._process import begin_with_fixed_hashes, collect_garbage_seldom, stopping
from perdure.cli._shell import INTERRUPTED, Command, hub_options, notice
from perdure.cli._target import definitions_of
from perdure.cli._words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.authoring import Definition
    from perdure.config import Settings, WorkerSettings

__all__ = ["worker"]

SECTIONS = {
    "Examples": (
        "perdure worker shop",
        "perdure worker shop.orders shop.mail --tasks default --tasks mail",
        "perdure worker shop --no-turns --tasks gpu",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("modules", nargs=-1, required=True, metavar="MODULE...")
@click.option("--turns", multiple=True, metavar="QUEUE", help="Run orchestrations of this queue; several are allowed.")
@click.option("--tasks", multiple=True, metavar="QUEUE", help="Run activities of this queue; several are allowed.")
@click.option("--no-turns", is_flag=True, help="Run no orchestrations.")
@click.option("--no-tasks", is_flag=True, help="Run no activities.")
@hub_options
def worker(modules: tuple[str, ...], *, settings: Settings, **queues: Any) -> int:
    """Run what others start, until SIGTERM or Ctrl-C.

    Runs the orchestrations and activities that the modules define or import. It stops when running steps have ended,
    at the latest after `worker.drain_seconds`; a second signal stops it at once. Nothing is lost either way. Start as
    many workers as you like on one hub.
    """
    begin_with_fixed_hashes()
    definitions = definitions_of(modules)
    chosen = dataclasses.replace(settings, worker=_chosen(settings.worker, **queues))
    collect_garbage_seldom()
    return asyncio.run(_work(chosen, definitions))


def _chosen(
    settings: WorkerSettings, *, turns: tuple[str, ...], tasks: tuple[str, ...], no_turns: bool, no_tasks: bool
) -> WorkerSettings:
    return dataclasses.replace(
        settings,
        turns=() if no_turns else turns or settings.turns,
        tasks=() if no_tasks else tasks or settings.tasks,
    )


async def _work(settings: Settings, definitions: Sequence[Definition]) -> int:
    seconds = settings.worker.drain_seconds
    with stopping(f"stopping: running steps have {seconds:g} s; again stops at once") as stop:
        async with perdure.connect(settings=settings) as hub, hub.worker(*definitions) as running:
            _announce(settings, running)
            await stop.wait()
    return stop.exit_code if stop.exit_code == INTERRUPTED else 0


def _announce(settings: Settings, running: perdure.Worker) -> None:
    registry, serves = running.registry, settings.worker
    orchestrations, activities = registry.orchestrations(), registry.activities()
    counts = f"{len(orchestrations)} orchestrations, {len(activities)} activities"
    queues = f"turns {', '.join(serves.turns) or '-'}; tasks {', '.join(serves.tasks) or '-'}"
    notice(printable(f"worker on {settings.store_url}: {counts}; {queues}"))
    for option, served, defined in (("turns", serves.turns, orchestrations), ("tasks", serves.tasks, activities)):
        left = sorted({each.queue for each in defined} - set(served))
        if served and left:
            notice(printable(f"{option} of {', '.join(left)} are left to other workers; --{option} NAME serves them"))
