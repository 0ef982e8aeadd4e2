"""Faults to come: switched on by tests, used up by the operations that they hit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from perdure_servicebus_emulator._errors import Condition, Refused

__all__ = ["Faults", "Operation"]

Operation = Literal["send", "settle", "manage"]


@dataclass
class Faults:
    """How many operations of each kind go wrong from now on.

    `busy`: are answered with server-busy and not carried out. `lost`: are carried out, and the answer is lost; where
    `is_cut`, the connection with it. What comes in is looked at `delay_seconds` later.
    """

    busy: dict[Operation, int] = field(default_factory=dict[Operation, int])
    lost: dict[Operation, int] = field(default_factory=dict[Operation, int])
    is_cut: bool = True
    delay_seconds: float = 0.0

    def refuse_if_busy(self, operation: Operation) -> None:
        """Count an operation that begins.

        Raises:
            Refused: It meets a busy server.
        """
        if _take(self.busy, operation):
            raise Refused(Condition.BUSY, "The server is busy: a fault that was switched on.")

    def take_lost(self, operation: Operation) -> bool:
        """Whether this operation's answer is lost; it is counted with that."""
        return _take(self.lost, operation)


def _take(left: dict[Operation, int], operation: Operation) -> bool:
    if left.get(operation, 0) <= 0:
        return False
    left[operation] -= 1
    return True
