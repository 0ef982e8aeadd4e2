"""`perdure history`: everything that is recorded of an instance."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

import perdure
from perdure import codec, events
from perdure.cli._lines import describe
from perdure.cli._output import write_lines
from perdure.cli._shell import Command, hub_options
from perdure.cli._timeline import Piece
from perdure.cli._words import clock_time, date_time
from perdure.records import CLOSED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perdure.config import Settings
    from perdure.records import TurnRecord

__all__ = ["history"]

LOOK_AGAIN_SECONDS = 20.0

SECTIONS = {
    "Examples": (
        "perdure history order-4711",
        "perdure history order-4711 --follow",
        "perdure history order-4711 --json > order-4711.jsonl",
    ),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("id_", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is recorded from now, until the instance ends.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per turn and line, with every field.")
@hub_options
def history(id_: str, *, follow: bool, as_json: bool, settings: Settings) -> int:
    """Show every event of an instance.

    The columns are the turn, the orchestration's clock, and the event.
    """
    asyncio.run(_history(settings, id_, _Writer(as_json=as_json), follow=follow))
    return 0


async def _history(settings: Settings, id_: str, writer: _Writer, *, follow: bool) -> None:
    async with perdure.connect(settings=settings) as hub:
        read = await hub.history(id_)
        writer.write(read.records)
        while follow and read.summary.status not in CLOSED:
            await hub.changed(id_, read, LOOK_AGAIN_SECONDS)
            read = await hub.history(id_)
            writer.write(read.records)


class _Writer:
    """Writes records that it has not written yet."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._version = 0
        self._turn = 0
        self._now = 0.0

    def write(self, records: Sequence[TurnRecord]) -> None:
        fresh = [record for record in records if record.version > self._version]
        for record in fresh:
            self._version = record.version
            if self._as_json:
                click.echo("\n".join(codec.export_lines([record])))
            else:
                write_lines(self._lines(record))

    def _lines(self, record: TurnRecord) -> Iterator[tuple[Piece, ...]]:
        before = self._now
        if record.turn is not None:
            self._turn += 1
            self._now = max(self._now, record.turn.now)
        for event in (record.turn, *record.inputs, *record.decisions):
            if isinstance(event, events.ExecutionStarted):
                self._now = max(self._now, event.created_at)
            if event is not None:
                if self._is_first_of_day(before):
                    yield (Piece(date_time(self._now, None).partition(" ")[0], "dim"),)
                    before = self._now
                yield self._line(event, record)

    def _is_first_of_day(self, before: float) -> bool:
        return date_time(self._now, None)[:10] != date_time(before, None)[:10]

    def _line(self, event: events.HistoryEvent, record: TurnRecord) -> tuple[Piece, ...]:
        turn = f"{self._turn:>4}" if record.turn is not None else "   -"
        return (Piece(f"{turn}  {clock_time(self._now, None)}  ", "dim"), Piece(describe(event, self._now)))
