"""Runs one command, and ends it and all it started when standard input closes: when the process that asked is gone.

Started by `ServerProcess` as a script, in a session of its own, so that its group holds nobody else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 5.0


def main(command: list[str]) -> None:
    """Run a command until it ends or standard input does."""
    # In the group of this process: what the server starts is in it, too.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the command is the caller's
    threading.Thread(target=_end_with, args=(child,), daemon=True).start()
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    finally:
        os.killpg(0, signal.SIGKILL)


def _end_with(child: subprocess.Popen[bytes]) -> None:
    os._exit(child.wait() & 0xFF)


if __name__ == "__main__":
    main(sys.argv[1:])
