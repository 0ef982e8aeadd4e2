"""`perdure send`: give an instance an external event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

import perdure
from perdure.cli._shell import Command, hub_options
from perdure.cli._target import read_json

if TYPE_CHECKING:
    from perdure.config import Settings

__all__ = ["send"]

SECTIONS = {
    "Examples": (
        "perdure send order-4711 payment '{\"amount\": 12}'",
        "perdure send order-4711 payment payment.json",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("id_", metavar="ID")
@click.argument("event")
@click.argument("value", metavar="[JSON]", default="null")
@click.option("--event-id", metavar="ID", help="Counts once however often it is sent.")
@hub_options
def send(id_: str, event: str, value: str, *, event_id: str | None, settings: Settings) -> int:
    """Send an external event.

    It waits until the orchestration asks for it.
    """
    asyncio.run(_send(settings, id_, event, read_json(value, what="The event's value"), event_id))
    return 0


async def _send(settings: Settings, id_: str, event: str, value: Any, event_id: str | None) -> None:
    async with perdure.connect(settings=settings) as hub:
        await hub.send(id_, event, value, event_id=event_id)
