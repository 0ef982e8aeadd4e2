"""`perdure doctor`: look at a hub, and say how to mend what is wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from perdure.cli._output import can_show, write_json, write_lines
from perdure.cli._places import administrations, queue_options, queues_of
from perdure.cli._shell import NO_HUB, Command, hub_options
from perdure.cli._timeline import Piece
from perdure.errors import PerdureError
from perdure.hub import examine_hub, open_hub
from perdure.spi import Finding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.config import Settings
    from perdure.spi import QueueName

__all__ = ["doctor"]

SECTIONS = {
    "Examples": (
        "perdure doctor",
        "perdure doctor --hub s3://bucket/shop?region=eu-central-1 --tasks mail",
        "perdure doctor --json",
    ),
    "What it writes": (
        "One instance, perdure-doctor, of which a tombstone stays, and one message",
        "in a queue of that name, which it takes out again.",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding and line.")
@queue_options
@hub_options
def doctor(*, settings: Settings, as_json: bool, turns: tuple[str, ...], tasks: tuple[str, ...]) -> int:
    """Examine a hub, and say how to mend it.

    Looks at rights, settings, conditional writes, queues and the clock.

    Exit code 0 if all is well, 4 if something is to be mended; each such line says how.
    """
    return asyncio.run(_examine(settings, queues_of(settings, turns, tasks), as_json=as_json))


async def _examine(settings: Settings, queues: Sequence[QueueName], *, as_json: bool) -> int:
    to_mend = 0
    async for finding in _findings(settings, queues):
        to_mend += not finding.is_well
        if as_json:
            write_json(
                {"subject": finding.subject, "ok": finding.is_well, "detail": finding.detail, "mend": finding.mend}
            )
        else:
            _write(finding)
    return NO_HUB if to_mend else 0


async def _findings(settings: Settings, queues: Sequence[QueueName]) -> AsyncIterator[Finding]:
    async with administrations(settings) as found:
        for place, administration in found:
            try:
                async for finding in administration.examine(queues):
                    yield finding
            except PerdureError as problem:
                yield _failed(place.url, problem)
    try:
        hub = await open_hub(settings)
    except PerdureError as problem:
        yield _failed(settings.store_url, problem)
        return
    try:
        yield Finding("hub", f"{settings.store_url} opens")
        async for finding in examine_hub(hub):
            yield finding
    finally:
        await hub.aclose()


def _failed(subject: str, problem: PerdureError) -> Finding:
    return Finding(subject, f"{type(problem).__name__}: {problem}", "Do what the message says, then look again.")


def _write(finding: Finding) -> None:
    well, ill = ("✓", "✗") if can_show("✓✗") else ("ok", "NO")
    mark = Piece(f"{well} ", "green") if finding.is_well else Piece(f"{ill} ", "bold red")
    write_lines([(mark, Piece(f"{finding.subject}: {finding.detail}", ""))])
    if finding.mend:
        write_lines([(Piece(f"  {finding.mend}", "bold"),)])
