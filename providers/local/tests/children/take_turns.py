"""Take the lock again and again, and write down each time. Arguments: folder, own letter, how often."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hub import say

from perdure_local.sqlite._lock import FairLock

folder, letter, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lock = FairLock(folder)
turns = os.open(folder / "turns", os.O_RDWR | os.O_CREAT, 0o600)
say("ready")
sys.stdin.readline()
for _ in range(count):
    lock.acquire()
    # Where to is looked up and written in two calls: two holders at a time would write to one place.
    place = os.fstat(turns).st_size
    os.fdatasync(turns)
    os.pwrite(turns, letter.encode(), place)
    lock.release()
lock.close()
