"""Take the lock of a hub and keep it; with a second argument, fork first. Arguments: folder, any."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hub import say

from perdure_local.sqlite._lock import FairLock

lock = FairLock(Path(sys.argv[1]))
lock.acquire()
if len(sys.argv) > 2:
    forked = os.fork()
    if forked == 0:
        signal.pause()
say("locked")
if len(sys.argv) > 2:
    say(forked)
signal.pause()
