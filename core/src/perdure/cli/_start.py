"""`perdure start`: record an instance; workers run it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Literal

import click

import perdure
from perdure.cli._list import parse_tags
from perdure.cli._output import write_json
from perdure.cli._shell import Command, hub_options
from perdure.cli._target import call_with, find_orchestration
from perdure.cli._words import printable

if TYPE_CHECKING:
    from perdure.config import Settings
    from perdure.replay import Call
    from perdure.spi import Summary

__all__ = ["start"]

SECTIONS = {
    "Examples": (
        "perdure start shop:invoicing --input order.json --id order-4711",
        "perdure start shop:invoicing --input '{\"id\": 4711}' --tag customer=acme",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("target", metavar="MODULE:ORCHESTRATION")
@click.option("--input", "input_", metavar="JSON", help="A JSON file, - for stdin, or JSON itself.")
@click.option("--id", "id_", metavar="ID", help="Instance id; one is made up if it is not given.")
@click.option("--tag", multiple=True, metavar="K=V", help="Tag to find it by; several are allowed.")
@click.option(
    "--if-exists", type=click.Choice(["error", "return"]), default="error", help="What to do if the id is taken."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object instead of the id.")
@hub_options
def start(
    target: str,
    *,
    input_: str | None,
    id_: str | None,
    tag: tuple[str, ...],
    if_exists: Literal["error", "return"],
    as_json: bool,
    settings: Settings,
) -> int:
    """Start an instance and print its id.

    It is recorded then; a worker runs it.
    """
    definition, _ = find_orchestration(target)
    call = call_with(definition, input_)
    summary = asyncio.run(_start(settings, call, id=id_, tags=parse_tags(tag), if_exists=if_exists))
    if as_json:
        write_json({"id": summary.key, "orchestration": summary.name, "status": summary.status})
    else:
        click.echo(printable(summary.key))
    return 0


async def _start(settings: Settings, call: Call[Any], **options: Any) -> Summary:
    with contextlib.closing(call):  # Where the hub cannot be opened nobody starts it, and Python would complain.
        async with perdure.connect(settings=settings) as hub:
            return await (await hub.start(call, **options)).summary()
