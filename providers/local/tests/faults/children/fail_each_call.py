"""Tell a story to hubs whose disk fails at one call each, and finish it on a disk that works again.

Arguments: a folder for ledgers, error number, kinds of calls, step: every so manieth call is tried.
Says how many such calls the story makes, and then a line of JSON for each call that was tried.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import story

import perdure

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 6
"""They mostly wait before they try again."""

NEVER = 10**6
FOLDER = Path(os.environ["FAULTS_FOLDER"])
SHIM = ctypes.CDLL(None)


def in_child(work: Callable[[], None]) -> int:
    """Run something in a process of its own, and give its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except Exception:  # noqa: BLE001 - the end of a process: it is written out, and the code tells
        traceback.print_exc()
    finally:
        os._exit(code)


def say(value: object) -> None:
    """Tell the test something, in one write: others say something, too."""
    os.write(1, msgspec.json.encode(value) + b"\n")


def tell(url: str, error: int, kinds: str, nth: int) -> None:
    """Tell the story while call number `nth` fails; the ledger has how that ended."""
    assert story.ledger is not None
    SHIM.faults_arm(error, kinds.encode(), nth)
    try:
        asyncio.run(story.tell(url, [1]))
        end = "told"
    except perdure.PerdureError as problem:
        end = f"{type(problem).__name__}: {problem}"
    story.ledger.note("told", end, bool(SHIM.faults_failed()), SHIM.faults_counted())


def finish(url: str) -> None:
    """Finish on a disk that works."""
    assert story.ledger is not None
    story.ledger.note("finished", asyncio.run(story.finish(url)))


def try_one(ledgers: Path, error: int, kinds: str, nth: int) -> None:
    """Tell and finish, each in a process of its own; say what came of it."""
    hub = FOLDER / f"hub-{nth}"
    story.ledger = story.Ledger(ledgers / f"{nth}.ledger")
    works = (lambda: tell(f"sqlite:{hub}", error, kinds, nth), lambda: finish(f"sqlite:{hub}"))
    codes = [os.waitstatus_to_exitcode(os.waitpid(in_child(work), 0)[1]) for work in works]
    (end, failed, count), *_ = [*story.ledger.all("told"), ["died", True, 0]]
    (wrong,), *_ = [*story.ledger.all("finished"), ["died"]]
    left_over = story.left_over(hub)
    say({"nth": nth, "codes": codes, "end": end, "failed": failed, "count": count, "wrong": wrong, "left": left_over})


def main(ledgers: Path, error: int, kinds: str, step: int) -> None:
    """Count the calls, then let each fail, several at a time."""
    logging.disable(logging.CRITICAL)
    try_one(ledgers, error, kinds, NEVER)
    count = story.Ledger(ledgers / f"{NEVER}.ledger").all("told")[0][2]
    running: set[int] = set()
    for nth in range(1, count + 1, step):
        if len(running) == AT_ONCE:
            running.discard(os.wait()[0])
        running.add(in_child(lambda: try_one(ledgers, error, kinds, nth)))  # noqa: B023 - runs before the next one
    while running:
        running.discard(os.wait()[0])


main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
