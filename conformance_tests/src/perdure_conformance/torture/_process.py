"""One worker process of the torture: killed, stopped, told to end, and what it was in the middle of."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

from perdure_conformance.torture._board import Phase

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from perdure_conformance.torture._board import Row

HANG_SECONDS = 600.0
"""Longer than it takes to run several suspected instances alone, one of them a minute (R15)."""
LOOK_AGAIN_SECONDS = 0.002

UNFINISHED = frozenset(
    (
        "turn",
        "commit not begun",
        "transaction",
        "outbox not begun",
        "outbox not sent",
        "activity",
        "effect not recorded",
    )
)
"""Hits that leave a turn uncommitted or its outbox unsent, or an activity without a recorded outcome: what torture is
about. Not among them: a commit whose answer was under way, for it may have been through."""

_CAUGHT_AT = {
    Phase.TURN: "turn",
    Phase.COMMIT: "commit not begun",
    Phase.TRANSACTION: "transaction",
    Phase.COMMITTED: "commit not known",
    Phase.ACTIVITY: "activity",
    Phase.RECORDING: "effect not recorded",
    Phase.APPENDED: "outbox not begun",
    Phase.SENDING: "outbox not sent",
    Phase.SENT: "inputs not completed",
}


class Process:
    """One worker process that was started here, and its row of the board."""

    def __init__(self, popen: subprocess.Popen[bytes], row: Row) -> None:
        self.popen = popen
        self.row = row
        self._is_told_to_end = False

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or could if it were not stopped."""
        return self.popen.poll() is None

    @property
    def has_failed(self) -> bool:
        """Whether it has ended by itself."""
        return not self.is_alive and not self._is_told_to_end

    def kill(self) -> None:
        """End it without warning, and wait until it is gone."""
        self._is_told_to_end = True
        self.popen.kill()
        self.popen.wait(HANG_SECONDS)
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    async def pause(self) -> None:
        """Stop it where it is, as a machine that is suspended would.

        Not while its row shows a lock: whoever is stopped with a lock stops everybody, on any local storage.
        """
        await until(self._stops_without_lock, "a worker is in the middle of its work without holding a lock")

    def _stops_without_lock(self) -> bool:
        os.kill(self.popen.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.popen.pid, os.WSTOPPED)  # Until all its threads stand still.
        if self.row.count(Phase.TRANSACTION):
            self.resume()
        return not self.row.count(Phase.TRANSACTION)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.popen.pid, signal.SIGCONT)

    async def finish(self) -> int:
        """Have it drain and end; gives its exit code."""
        self._is_told_to_end = True
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        await until(lambda: not self.is_alive, "a worker ends when it is told to")
        return self.popen.returncode

    def what_is_hit(self) -> str:
        """Say what the process is in the middle of; of one that was killed: what the kill has hit."""
        row = self.row
        unfinished_turns = row.count(Phase.TURN) - row.count(Phase.COMMIT) - row.count(Phase.COMMITTED)
        if row.caught_at is not None:
            return _CAUGHT_AT[row.caught_at]
        if row.count(Phase.COMMIT) and row.count(Phase.TRANSACTION):
            return "commit under way"  # it may be on disk already
        if unfinished_turns > 0:
            return "turn"
        if row.count(Phase.ACTIVITY):
            return "activity"
        if row.count(Phase.COMMIT) or row.count(Phase.COMMITTED):
            return "commit not known"
        return "nothing" if row.is_ready else "its start"


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for a condition; after `HANG_SECONDS` it counts as never."""
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"It did not come to pass that {what}."
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
