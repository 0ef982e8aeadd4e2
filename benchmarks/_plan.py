"""How much is run, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much one run does.

    Attributes:
        seconds: Of steady load, at least.
        w1_workflows_min: Of W1 at 512 open, however long that takes.
        open_max: Most instances open at once.
        parallel: Steps of W3.
        chain: Steps of W4, and of the chain in which a worker is killed.
        sleepers: Workflows of W6.
        sleep_seconds: How long each sleeps.
        fan_out: Steps of the large fan-out.
        long_chain: Steps of the long chain.
        edge: Steps at its beginning and its end that are compared.
        waiting: Instances that wait.
        backlog: Workflows that several worker processes share.
        counted: Workflows in the run that counts statements.
        starts: Of processes, to the first result.
        kills: Of processes in the middle of W1.
        recoveries: Kills of a worker in the middle of a chain.
        lease_seconds: Of the workers that are killed in a chain; by default what every worker has.
    """

    seconds: float
    w1_workflows_min: int
    open_max: int = 512
    parallel: int = 1_000
    chain: int = 2_000
    sleepers: int = 1_000
    sleep_seconds: float = 1.0
    fan_out: int
    long_chain: int
    edge: int
    waiting: int
    backlog: int
    counted: int
    starts: int
    kills: int
    recoveries: int
    lease_seconds: float = 30.0


SIZES = {
    "full": Size(
        seconds=10,
        w1_workflows_min=30_000,
        fan_out=10_000,
        long_chain=10_000,
        edge=1_000,
        waiting=10_000,
        backlog=6_000,
        counted=1_000,
        starts=7,
        kills=5,
        recoveries=3,
    ),
    "quick": Size(
        seconds=2,
        w1_workflows_min=0,
        fan_out=2_000,
        long_chain=2_000,
        edge=500,
        waiting=2_000,
        backlog=1_500,
        counted=300,
        starts=3,
        kills=2,
        recoveries=1,
    ),
    # For tests: that everything runs. The numbers mean nothing.
    "tiny": Size(
        seconds=0.05,
        w1_workflows_min=0,
        open_max=4,
        parallel=10,
        chain=30,
        sleepers=3,
        sleep_seconds=0.05,
        fan_out=20,
        long_chain=30,
        edge=10,
        waiting=20,
        backlog=20,
        counted=5,
        starts=1,
        kills=1,
        recoveries=1,
        lease_seconds=1,
    ),
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do.

    Attributes:
        measurement: By name.
        scheme: Of the hub.
        folder: Fresh and empty.
        size: How much to run.
    """

    measurement: str
    scheme: str
    folder: str
    size: Size


@dataclass(frozen=True, slots=True)
class Bench:
    """One measurement's surroundings.

    Attributes:
        scheme: Of the hub's URL: `sqlite`, `file` or `memory`.
        folder: Fresh and empty.
        size: How much to run.
    """

    scheme: str
    folder: Path
    size: Size

    def url(self, name: str = "hub") -> str:
        """Name a hub of this measurement; a fresh one for each name."""
        return "memory:" if self.scheme == "memory" else f"{self.scheme}:{self.folder / name}"

    def disk_bytes(self, name: str = "hub") -> int:
        """Add up the files of a hub as they are now, the write-ahead log among them."""
        return sum(path.stat().st_size for path in (self.folder / name).rglob("*") if path.is_file())
