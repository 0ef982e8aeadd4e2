"""Live orchestrations between their turns: least recently used ones are closed, so that memory is bounded.

A seat is what this worker remembers of an instance. It may be older than the store: an append protects what it says
yes to, and what it does not know is read again (R3).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING

from perdure.replay import TurnOverrun

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from perdure.engine import InstanceState
    from perdure.ids import Key
    from perdure.records import TurnRecord
    from perdure.replay import Execution

__all__ = ["Seat", "Seats"]

logger = logging.getLogger("perdure.worker")


class Seat:
    """One instance: its state, and its running code if this worker has it.

    Attributes:
        state: At the version of the last record this worker knows.
        execution: Code that stands where `state` says; None: replay `records` first.
        judged_at: Wall time by which the messages of its turn were judged.
        records: Of a history that was just read; empty once they are replayed.
    """

    __slots__ = ("execution", "judged_at", "records", "state")

    def __init__(self, state: InstanceState, records: tuple[TurnRecord, ...]) -> None:
        self.state = state
        self.execution: Execution | None = None
        self.judged_at = 0.0
        self.records: tuple[TurnRecord, ...] = records


class Seats:
    """Seats by instance, at most so many and of at most so many bytes of history.

    Args:
        instances_max: How many; 0 keeps none.
        bytes_max: How many bytes of history together, unless one alone has more.
        watch: Bounds the time that closing one may take.

    Attributes:
        graveyard: Executions with code that did not end after ten closes: kept, so that no finalizer runs it later.
    """

    def __init__(
        self, *, instances_max: int, bytes_max: int, watch: Callable[[Execution], AbstractContextManager[None]]
    ) -> None:
        self._watch = watch
        self._instances_max = instances_max
        self._bytes_max = bytes_max
        self._seats: OrderedDict[Key, Seat] = OrderedDict()
        self._bytes = 0
        self.graveyard: list[Execution] = []

    def __len__(self) -> int:
        return len(self._seats)

    def take(self, key: Key) -> Seat | None:
        """Take a seat out: while its turn runs it belongs to the turn alone."""
        seat = self._seats.pop(key, None)
        if seat is not None:
            self._bytes -= seat.state.history_bytes
        return seat

    def find(self, key: Key) -> Seat | None:
        """Look at a seat without taking it."""
        return self._seats.get(key)

    def put_back(self, key: Key, seat: Seat | None) -> None:
        """Put a seat back after its turn; others may have to go.

        Only while its code is live: without it, or once closed, the history has to be read anyhow.
        """
        if seat is None or seat.execution is None or seat.state.is_closed:
            self.close(seat)
            return
        self._seats[key] = seat
        self._bytes += seat.state.history_bytes
        while len(self._seats) > self._instances_max or (self._bytes > self._bytes_max and len(self._seats) > 1):
            _, oldest = self._seats.popitem(last=False)
            self._bytes -= oldest.state.history_bytes
            self.close(oldest)

    def close(self, seat: Seat | None) -> None:
        """End the code of a seat without effects."""
        if seat is None or seat.execution is None:
            return
        execution, seat.execution = seat.execution, None
        self.close_execution(execution)

    def close_execution(self, execution: Execution) -> None:
        """End code without effects. Its `finally` runs, watched as a turn is."""
        try:
            with self._watch(execution):
                remains = execution.close()
        except TurnOverrun:
            remains = 1
            with self._watch(execution):
                pass  # It may have come right before the watch was ended: left on, it would throw into anything here.
        if remains:
            logger.warning("%s: its code does not end when closed; it is kept for good.", execution.info.instance_id)
            self.graveyard.append(execution)

    def clear(self) -> None:
        """Close every seat."""
        while self._seats:
            self.close(self._seats.popitem()[1])
        self._bytes = 0
