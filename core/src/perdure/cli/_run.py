"""`perdure run`: worker and client in one process; given again, it goes on or shows the result."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

import perdure
from perdure.authoring import Activity, Definition, Orchestration
from perdure.cli._output import write_json
from perdure.cli._process import begin_with_fixed_hashes, first_of, stopping
from perdure.cli._progress import Progress
from perdure.cli._shell import TIMED_OUT, Command, hub_options, notice
from perdure.cli._target import call_with, find_orchestration
from perdure.cli._words import printable
from perdure.errors import AlreadyExists, NotFound
from perdure.records import CLOSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.config import Settings, WorkerSettings

__all__ = ["run", "serving"]

SECTIONS = {
    "Examples": (
        "perdure run shop:invoicing --input order.json --id order-4711",
        "perdure run shop:invoicing --id order-4711",
        "echo '{\"id\": 4711}' | perdure run shop:invoicing --input -",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("target", metavar="MODULE:ORCHESTRATION")
@click.option("--input", "input_", metavar="JSON", help="A JSON file, - for stdin, or JSON itself.")
@click.option("--id", "id_", metavar="ID", help="Instance id; one is made up if it is not given.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; exit code 5 then.")
@hub_options
def run(target: str, *, input_: str | None, id_: str | None, timeout: float | None, settings: Settings) -> int:
    """Run an orchestration to its end.

    Prints the result as JSON. Worker and client are in this process; the worker runs everything that the module
    defines or imports. Given again with the same id, it goes on where it stopped, with the input that is recorded, or
    shows the result.
    """
    begin_with_fixed_hashes()
    definition, definitions = find_orchestration(target)
    order = _Order(target, definition, definitions, input_, id_, timeout)
    return asyncio.run(_run(order, settings))


@dataclass(frozen=True, slots=True)
class _Order:
    """What to run."""

    target: str
    definition: Orchestration[..., Any]
    definitions: Sequence[Definition]
    input: str | None
    id: str | None
    timeout_seconds: float | None

    def go_on(self, instance_id: str) -> str:
        """Say how to go on."""
        context = click.get_current_context().params
        chosen = [f"--{name}={context[name]}" for name in ("hub", "store", "queue") if context.get(name)]
        return shlex.join(["perdure", "run", self.target, "--id", instance_id, *chosen])


async def _run(order: _Order, settings: Settings) -> int:
    with stopping("stopping: running steps may end; Ctrl-C again stops at once") as stop:
        async with perdure.connect(settings=settings) as hub:
            instance = await _begin(hub, order)
            summary = await instance.summary()
            if summary.status not in CLOSED:
                progress = Progress(hub, instance.id)
                async with hub.worker(*order.definitions, settings=serving(settings.worker, order.definitions)):
                    await first_of(_ended(instance, order.timeout_seconds), stop.wait(), progress.watch())
                await progress.show_rest()
                summary = await instance.summary()
            if summary.status in CLOSED:
                write_json(await instance.result())
                return 0
    notice(printable(f"{instance.id} is {summary.status}; it goes on with: {order.go_on(instance.id)}"))
    return stop.exit_code or TIMED_OUT


async def _begin(hub: perdure.Hub, order: _Order) -> perdure.Run[Any]:
    """Find the instance, or start it. Its result is asked for through `get`: as plain data, which is what JSON has."""
    if order.id is not None:
        try:
            found = await hub.get(order.id)
            summary = await found.summary()
        except NotFound:
            pass
        else:
            if summary.name != order.definition.name:
                message = f"{order.id!r} is taken by {summary.name!r}, which is {summary.status}: choose another id."
                raise AlreadyExists(message, instance_id=order.id, status=summary.status)
            if order.input is not None:
                notice(printable(f"{order.id} exists; it goes on with the input that is recorded"))
            return found
    started = await hub.start(call_with(order.definition, order.input), id=order.id, if_exists="return")
    if order.id is None:
        notice(printable(f"started {started.id}"))
    return await hub.get(started.id)


async def _ended(instance: perdure.Run[Any], timeout_seconds: float | None) -> None:
    """Wait for the end, whatever it is, or for the time to be over: the summary tells."""
    try:
        await instance.result(timeout_seconds=timeout_seconds)
    except (perdure.OrchestrationError, TimeoutError):
        return


def serving(settings: WorkerSettings, definitions: Sequence[Definition]) -> WorkerSettings:
    """Serve the queues of everything that is defined here, too: nobody else may be there."""
    turns = {each.queue: None for each in definitions if isinstance(each, Orchestration)}
    tasks = {each.queue: None for each in definitions if isinstance(each, Activity)}
    return dataclasses.replace(settings, turns=tuple({*settings.turns, *turns}), tasks=tuple({*settings.tasks, *tasks}))
