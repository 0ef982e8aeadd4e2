"""The commands of one execution in order: numbered, collected, and in replay compared with the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from perdure.commands import Command
from perdure.events import DECISIONS
from perdure.replay._compare import describe, input_differs, is_same, mismatch
from perdure.replay._where import asking_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.errors import NotDeterministic

__all__ = ["Ledger"]

WARNINGS_MAX = 100

C = TypeVar("C", bound=Command)
D = TypeVar("D", bound=DECISIONS)


class Ledger:
    """Takes each command the moment code gives it, so that a mismatch still knows the line that asked."""

    __slots__ = ("_asked", "_index", "_instance_id", "_position", "_recorded", "seq", "warnings")

    def __init__(self, instance_id: str) -> None:
        self.seq = 0
        self.warnings: list[str] = []
        self._instance_id = instance_id
        self._index = 0
        self._recorded: Sequence[DECISIONS] | None = None
        self._position = 0
        self._asked: list[Command] = []

    @property
    def is_replaying(self) -> bool:
        """Whether the turn is a recorded one."""
        return self._recorded is not None

    def begin(self, recorded: Sequence[DECISIONS] | None) -> None:
        """Begin a turn: a recorded one with its decisions, or a new one with None."""
        self._recorded = recorded
        self._position = 0
        self._asked = []

    def next_seq(self) -> int:
        """Number the next thing that is started."""
        self.seq += 1
        return self.seq

    def give(self, asked: C, kind: type[D], *, is_target_derived: bool = False) -> C | D:
        """Take a command.

        Args:
            asked: What the code asks for.
            kind: The event that it is recorded as.
            is_target_derived: The code named no instance id; the recorded one is taken.

        Returns:
            What holds: the command in a new turn, the recorded event in replay, with the options of that time.

        Raises:
            NotDeterministic: The record says something else. The turn must be doomed.
        """
        self._index += 1
        if self._recorded is None:
            self._asked.append(asked)
            return asked
        recorded = self._recorded[self._position] if self._position < len(self._recorded) else None
        if not isinstance(recorded, kind) or not is_same(recorded, asked, is_target_derived=is_target_derived):
            error = mismatch(self._instance_id, self._index, recorded, asked, asking_line()[0])
            raise error
        self._position += 1
        if input_differs(recorded, asked):
            self._warn(
                f"decision {self._index}, {describe(asked)}, is called with another input now, {asking_line()[0]}"
            )
        return recorded

    def end(self, waits_at: Callable[[], str]) -> tuple[Command, ...]:
        """End the turn.

        Args:
            waits_at: Finds where the code waits now, for the message.

        Returns:
            The commands of a new turn, in order; nothing for a recorded one.

        Raises:
            NotDeterministic: The record holds a decision that the code did not ask for.
        """
        if self._recorded is not None and self._position < len(self._recorded):
            raise self._missing(self._recorded[self._position], waits_at())
        asked, self._asked = self._asked, []
        return tuple(asked)

    def _missing(self, recorded: DECISIONS, waits_at: str) -> NotDeterministic:
        return mismatch(self._instance_id, self._index + 1, recorded, None, waits_at)

    def _warn(self, text: str) -> None:
        if len(self.warnings) < WARNINGS_MAX:
            self.warnings.append(text)
