"""On what the numbers were measured."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Facts without which a number means nothing.

    Attributes:
        python: Version and implementation.
        sqlite: Version of the library.
        perdure: Version of the core.
        msgspec: Its version.
        system: Operating system and its release.
        processor: Its model, as the system calls it.
        core_count: Logical processors this process may use.
        load_average: Processes that ran or waited to run, over the last minute before: other people's, too.
        file_system: Of the folder that the hubs are in. On `tmpfs` a sync costs nothing.
    """

    python: str
    sqlite: str
    perdure: str
    msgspec: str
    system: str
    processor: str
    core_count: int
    load_average: float
    file_system: str


def describe_machine(folder: Path) -> Machine:
    """Look at this machine, and at the file system of a folder."""
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        perdure=_version("perdure-core"),
        msgspec=_version("msgspec"),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        core_count=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load_average=round(os.getloadavg()[0], 2),
        file_system=_file_system(folder),
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "from source"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """Find the type of the mount with the longest path that holds the folder."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    fields = [line.split() for line in mounts.read_text("utf-8").splitlines()]
    holding = [(len(place), kind) for _, place, kind, *_ in fields if folder.resolve().is_relative_to(place)]
    return max(holding)[1] if holding else "unknown"
