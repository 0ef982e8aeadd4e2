"""`perdure result`: wait for the end of an instance."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

import perdure
from perdure.cli._output import write_json
from perdure.cli._shell import Command, hub_options

if TYPE_CHECKING:
    from perdure.config import Settings

__all__ = ["result"]

SECTIONS = {
    "Examples": (
        "perdure result order-4711",
        "perdure result order-4711 --timeout 0",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("id_", metavar="ID")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer; exit code 5 then.")
@hub_options
def result(id_: str, *, timeout: float | None, settings: Settings) -> int:
    """Wait for the end, print the result as JSON."""
    write_json(asyncio.run(_result(settings, id_, timeout)))
    return 0


async def _result(settings: Settings, id_: str, timeout_seconds: float | None) -> object:
    async with perdure.connect(settings=settings) as hub:
        return await (await hub.get(id_)).result(timeout_seconds=timeout_seconds)
