"""Group commit: whatever changes wait are made in one write transaction, under the lock, on the loop's own thread.

    run() ──▶ waiting ──next turn of the loop──▶ lock free? ──▶ BEGIN … COMMIT ──▶ unlock ──▶ everybody has an answer
                 ▲                                 │ no: a thread waits for it        │
                 └───────── what came meanwhile ───┴──────────────────────────────────┘

The commit is not moved to a thread: a lone Step costs one sync either way, and a writer thread beside a busy loop was
measured six times slower, because it gives the GIL away at every row.

Nobody's failure is another's: if a transaction fails, its changes are made again in two halves, down to the single one
that cannot be made. A change therefore keeps nothing of an attempt that failed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.spi import Unavailable
from perdure_local.sqlite._errors import is_busy, translate
from perdure_local.sqlite._histories import HistoryChanges
from perdure_local.sqlite._messages import MessageChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.spi import Delivery, Key, QueueName
    from perdure_local.sqlite._lock import FairLock

__all__ = ["Change", "GroupCommit", "Transaction"]

Answer = TypeVar("Answer")

_CHANGES_MAX = 1024
"""Of one transaction: more only make the first ones wait longer."""

_BYTES_MAX = 32 * 2**20
"""Of one transaction, unless a single change is larger."""

_ROWS_TO_CHECKPOINT = 4000
_BYTES_TO_CHECKPOINT = 8 * 2**20
"""How much is written before the log is carried into the database file: both bound the size of the log."""


class Transaction:
    """One write transaction: what its changes decide is collected and written with few statements."""

    def __init__(self, connection: sqlite3.Connection, holder: int) -> None:
        self.histories = HistoryChanges(connection, holder)
        self.messages = MessageChanges(connection)
        self.connection = connection

    def write(self) -> int:
        """Write what was decided, and tell how many rows."""
        return self.histories.write() + self.messages.write()


@dataclass(frozen=True, slots=True)
class Change[Answer]:
    """One thing to do in a write transaction."""
