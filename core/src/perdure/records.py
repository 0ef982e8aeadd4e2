"""The record of a turn: what went in, what was decided. One record is one version of a history.

The outbox of a turn is not stored beside its decisions: it is derived from them (`engine`), the same on every
attempt, so that it cannot disagree with them (ADR 4).
"""

from __future__ import annotations

import msgspec

from perdure import events

__all__ = ["CLOSED", "TurnRecord"]

CLOSED = frozenset({"Completed", "Failed", "Canceled", "Terminated"})
"""Statuses in which nothing more is appended (S6)."""


class TurnRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One turn of one execution.

    Attributes:
        version: Of the history, with this record.
        turn_id: New for each attempt (R4).
        incarnation: Which creation of the instance id.
        execution: 0, 1, 2 … by continue-as-new.
        turn: Who ran the code, and at what time; None if nobody did: the inputs were only recorded, as by a client
            that creates the instance. They wait, as those of a turn with `TurnFailed` do, and are fed first in the
            next turn that runs.
        inputs: In the order in which they are fed.
        decisions: In the order in which the code asked.
        sent_upto: Every message of records up to this version is known to have been sent (R5).
    """

    version: int
    turn_id: str
    incarnation: str
    execution: int
    turn: events.TurnStarted | None
    inputs: tuple[events.INPUTS, ...]
    decisions: tuple[events.DECISIONS, ...]
    sent_upto: int = 0

    @property
    def was_run(self) -> bool:
        """Whether code consumed the inputs."""
        return self.turn is not None and not any(isinstance(d, events.TurnFailed) for d in self.decisions)
