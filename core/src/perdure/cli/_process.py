"""The process of `run` and `worker`: its hash seed, its signals, and what it waits for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from perdure.cli._shell import INTERRUPTED, TERMINATED, notice, session

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ["Stop", "begin_with_fixed_hashes", "collect_garbage_seldom", "first_of", "stopping"]

HASH_SEED = "PYTHONHASHSEED"


def begin_with_fixed_hashes() -> None:
    """Start the process anew with PYTHONHASHSEED=0, unless it was started so: sets of text must keep their order.

    Call it before anything is read or imported for the user.
    """
    if os.environ.get(HASH_SEED) == "0" or not session().may_replace_process or not sys.executable:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, HASH_SEED: "0"})  # noqa: S606


def collect_garbage_seldom() -> None:
    """Look for cycles a hundred times more seldom; what was imported is never looked at again.

    Nearly everything here is freed by counting references, and looking was a fifth of a busy worker's time. In a
    process that is the user's own, such a setting is the user's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Stop:
    """Whether somebody wants the process to stop."""

    def __init__(self, mend: str) -> None:
        self.exit_code = 0
        self._mend = mend
        self._wanted = asyncio.Event()

    async def wait(self) -> None:
        """Wait until it should stop; `exit_code` then says how."""
        await self._wanted.wait()

    def ask(self, exit_code: int) -> None:
        """Ask to stop; asking twice stops at once, as a crash would: what is recorded goes on elsewhere."""
        if self._wanted.is_set():
            notice("stopped at once; other workers take over when its leases end")
            os._exit(exit_code)
        self.exit_code = exit_code
        self._wanted.set()
        notice(self._mend)


@contextlib.contextmanager
def stopping(mend: str) -> Generator[Stop, None, None]:
    """Catch Ctrl-C and SIGTERM inside the body; `mend` is said at the first one."""
    loop = asyncio.get_running_loop()
    stop = Stop(mend)
    codes = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
    for number, code in codes.items():
        loop.add_signal_handler(number, stop.ask, code)
    try:
        yield stop
    finally:
        for number in codes:
            loop.remove_signal_handler(number)


async def first_of(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all until the first one ends; then cancel the others. What the first one raised is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        task.result()
