"""Fork within a lock, say who was forked, leave the lock when told to, and wait. Argument: the lock's file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from perdure_local.file._folder import locked

with locked(Path(sys.argv[1])):
    forked = os.fork()
    if forked == 0:
        signal.pause()
    sys.stdout.write(f"{forked}\n")
    sys.stdout.flush()
    sys.stdin.readline()
sys.stdout.write("left\n")
sys.stdout.flush()
signal.pause()
