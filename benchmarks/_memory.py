"""How much memory a process has."""

import os
import subprocess
from pathlib import Path


def resident_bytes(process: int | None = None) -> int:
    """Tell how much physical memory a process has (RSS), shared libraries counted.

    Args:
        process: Its id; None means this one.
    """
    process = process or os.getpid()
    statm = Path(f"/proc/{process}/statm")
    if statm.exists():
        return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(listed.stdout) * 1024
