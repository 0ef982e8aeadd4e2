"""`perdure list`: the instances of a hub."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import click

import perdure
from perdure.cli._output import write_json, write_table
from perdure.cli._shell import Command, hub_options
from perdure.cli._words import date_time, duration
from perdure.errors import Misuse

if TYPE_CHECKING:
    from perdure.config import Settings
    from perdure.spi import Summary

__all__ = ["list_", "parse_tags"]

COLUMNS = ("ID", "ORCHESTRATION", "STATUS", "CREATED", "UPDATED", "STALLED")
STATUSES = ("Pending", "Running", "Suspended", "Completed", "Failed", "Canceled", "Terminated")

SECTIONS = {
    "Examples": (
        "perdure list --status running --status failed",
        "perdure list --name invoicing --tag customer=acme --json",
        "perdure list --stalled",
    ),
}


@click.command("list", cls=Command, sections=SECTIONS)
@click.option("--status", multiple=True, type=click.Choice(STATUSES, case_sensitive=False), help="Any of these.")
@click.option("--name", multiple=True, help="Any of these orchestrations.")
@click.option("--prefix", default="", help="Instance ids that begin so.")
@click.option("--tag", multiple=True, metavar="K=V", help="With this tag; several must all hold.")
@click.option("--stalled", is_flag=True, help="Only those that cannot run at the moment.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0 means all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per instance and line.")
@hub_options
def list_(*, settings: Settings, tag: tuple[str, ...], as_json: bool, **query: Any) -> int:
    """List instances, by id."""
    asyncio.run(_list(settings, {**query, "tags": parse_tags(tag)}, as_json=as_json))
    return 0


def parse_tags(tags: tuple[str, ...]) -> dict[str, str]:
    """Read tags given as `name=value`.

    Raises:
        Misuse: One has no `=`.
    """
    for tag in tags:
        if "=" not in tag:
            raise Misuse(f"--tag {tag!r}: write name=value.")
    return {name: value for name, _, value in (tag.partition("=") for tag in tags)}


async def _list(settings: Settings, query: dict[str, Any], *, as_json: bool) -> None:
    async with perdure.connect(settings=settings) as hub:
        found = hub.list(**query)
        if as_json:
            async for summary in found:
                write_json(_named(summary))
            return
        rows = [_row(summary, time.time()) async for summary in found]
    columns = COLUMNS if any(row[-1] for row in rows) else COLUMNS[:-1]
    write_table(columns, [row[: len(columns)] for row in rows])


def _named(summary: Summary) -> dict[str, Any]:
    return {("id" if name == "key" else name): getattr(summary, name) for name in summary.__struct_fields__}


def _row(summary: Summary, now: float) -> tuple[str, ...]:
    ago = f"{duration(now - summary.updated_at)} ago" if summary.updated_at else "-"
    return (summary.key, summary.name, summary.status, date_time(summary.created_at, None), ago, summary.stalled)
