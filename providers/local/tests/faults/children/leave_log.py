"""Tell errands to a hub and be killed: its log stays. Arguments: URL, ledger, how many, `carry` to carry half over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import story

from perdure_local.sqlite import _database


def after(number: int, count: int) -> None:
    """Carry the log over in the middle, die at the end."""
    if number == count // 2 and sys.argv[4:] == ["carry"]:
        (database,) = _database._OPEN.values()
        database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    if number == count:
        os.kill(os.getpid(), signal.SIGKILL)


story.LARGE = 100
story.ledger = story.Ledger(Path(sys.argv[2]))
last = int(sys.argv[3])
asyncio.run(story.tell(sys.argv[1], range(1, last + 1), lambda number: after(number, last)))
