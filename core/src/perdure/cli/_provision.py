"""`perdure provision`: make what a hub needs at its provider, and say which rights its users need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from perdure.cli._output import write_json
from perdure.cli._places import administrations, queue_options, queues_of
from perdure.cli._shell import Command, hub_options, notice
from perdure.cli._words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.config import Settings
    from perdure.spi import QueueName

__all__ = ["provision"]

SECTIONS = {
    "Examples": (
        "perdure provision --hub s3://bucket/shop?region=eu-central-1 --dry-run",
        "perdure provision --hub s3://bucket/shop --tasks default --tasks mail",
        "perdure provision --hub s3://bucket/shop --policies",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.option("--dry-run", is_flag=True, help="Only tell what would be made or changed.")
@click.option("--policies", is_flag=True, help="Only print the smallest rights of worker, client and sweeper.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@queue_options
@hub_options
def provision(
    *, settings: Settings, dry_run: bool, policies: bool, as_json: bool, turns: tuple[str, ...], tasks: tuple[str, ...]
) -> int:
    """Make what a hub needs: buckets, queues, their settings.

    What is there already is left as it is, or brought to what it must be; given again, it changes nothing.
    """
    queues = queues_of(settings, turns, tasks)
    if policies:
        return asyncio.run(_print_policies(settings, queues, as_json=as_json))
    return asyncio.run(_provision(settings, queues, dry_run=dry_run, as_json=as_json))


async def _provision(settings: Settings, queues: Sequence[QueueName], *, dry_run: bool, as_json: bool) -> int:
    changed = 0
    async with administrations(settings) as found:
        for place, administration in found:
            async for measure in administration.provision(queues, dry_run=dry_run):
                changed += bool(measure.change)
                if as_json:
                    write_json({"place": place.url, "subject": measure.subject, "change": measure.change})
                else:
                    click.echo(printable(f"{measure.subject}: {measure.change or 'is there'}"))
    if not found:
        notice(printable(f"{settings.store_url} needs nothing: what is missing is made when it is first used"))
    elif not as_json:
        click.echo("Nothing was changed." if dry_run or not changed else f"{changed} changed.")
    return 0


async def _print_policies(settings: Settings, queues: Sequence[QueueName], *, as_json: bool) -> int:
    async with administrations(settings) as found:
        for place, administration in found:
            for role, policy in administration.policies(queues).items():
                if as_json:
                    write_json({"place": place.url, "role": role, "policy": policy})
                else:
                    click.echo(f"# {role}, {printable(place.url)}\n{policy}\n")
    if not found:
        notice(printable(f"{settings.store_url} has no rights of its own: who may use the place may use the hub"))
    return 0
