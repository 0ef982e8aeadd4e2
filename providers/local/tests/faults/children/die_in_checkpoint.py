"""Be killed in the middle of a checkpoint, again and again in one hub, at its first call to its tenth.

Arguments: URL of the hub, ledger, how often. Says how each process ended, and what is wrong in the end.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path

import story

import perdure
from perdure_local.sqlite import _database

SHIM = ctypes.CDLL(None)


def die_at(nth: int) -> None:
    """Be killed at this call to the disk, counted from now."""
    SHIM.faults_arm(-1, b"wst", nth)


async def checkpoint(url: str, nth: int) -> None:
    """Start something, and carry it from the log into the database; every other time, what another one left."""
    assert story.ledger is not None
    fatal = nth % 20 // 2 + 1
    if nth % 2 == 0:
        die_at(fatal)  # Opening carries over what is in the log.
    async with perdure.connect(url) as hub:
        die_at(0)
        for letter in "abc":
            id_ = f"errand-{nth}{letter}"
            await hub.start(story.errand(nth), id=id_)
            story.ledger.note("begun", id_)
        (database,) = _database._OPEN.values()
        die_at(fatal)
        database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        os._exit(0)


async def look(url: str) -> str:
    """Find what was acknowledged and is not there, or cannot be read."""
    assert story.ledger is not None
    async with perdure.connect(url) as hub:
        there = {summary.key async for summary in hub.list()}
        missing = sorted({words[0] for words in story.ledger.all("begun")} - there)
        for id_ in there:
            await hub.history(id_)
        (database,) = _database._OPEN.values()
        integrity = database.connection.execute("PRAGMA integrity_check").fetchone()[0]
    return f"missing {missing}, integrity {integrity}" if missing or integrity != "ok" else "all there"


def main(url: str, count: int) -> None:
    """Die so often."""
    for nth in range(1, count + 1):
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(checkpoint(url, nth))
            finally:
                os._exit(1)
        os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())
    die_at(0)
    os.write(1, f"{asyncio.run(look(url))}\n".encode())


story.ledger = story.Ledger(Path(sys.argv[2]))
main(sys.argv[1], int(sys.argv[3]))
