"""A history as a client reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure import codec
from perdure.ids import Key
from perdure.records import TurnRecord
from perdure.spi import Summary, Token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.events import HistoryEvent

__all__ = ["History"]


class History(msgspec.Struct, frozen=True):
    """Everything that is recorded of one instance.

    Attributes:
        key: Instance id.
        summary: What a listing shows of it.
        records: One per turn, in order, payloads in line.
        token: State of the history when it was read.
    """

    key: Key
    summary: Summary
    records: tuple[TurnRecord, ...]
    token: Token

    def events(self) -> Iterator[tuple[TurnRecord, HistoryEvent]]:
        """Yield every event with the record that holds it: who ran, what came in, what was decided."""
        for record in self.records:
            if record.turn is not None:
                yield record, record.turn
            for event in (*record.inputs, *record.decisions):
                yield record, event

    def lines(self) -> Iterator[str]:
        """Yield JSON lines, one record each, that `codec.import_lines` reads back."""
        return codec.export_lines(self.records)
