"""The settings, their defaults, and what each may be. The docstrings are what documentation shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from perdure.config._rules import Choice, Names, Rule, Seconds, Url, WholeNumber
from perdure.errors import Misuse

__all__ = ["RULES", "WORKER", "Settings", "WorkerSettings"]

WORKER = "worker"
"""The one table of settings inside the settings."""

RULES: dict[str, Rule] = {
    "hub": Url(),
    "store": Url(optional=True),
    "queue": Url(optional=True),
    "worker.turns": Names(),
    "worker.tasks": Names(),
    "worker.activities_max": WholeNumber(1, 100_000),
    "worker.threads_max": WholeNumber(1, 1_000),
    "worker.turns_max": WholeNumber(1, 100_000),
    "worker.cache_instances": WholeNumber(0, 1_000_000),
    "worker.cache_bytes": WholeNumber(0, 1 << 40),
    "worker.lease_seconds": Seconds(0.1, 43_200),  # SQS hides a message for 12 hours at most.
    "worker.drain_seconds": Seconds(0, 3_600),
    "worker.replay_check": Choice(("never", "always")),
    "worker.turn_seconds_max": Seconds(0.1, 600),
}
"""What each key may be, one row each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker serves and how much it takes on.

    Attributes:
        turns: Queues whose orchestrations it runs; empty means none.
        tasks: Queues whose activities it runs; empty means none.
        activities_max: Most `async def` activities at once.
        threads_max: Most plain `def` activities at once; each takes a thread.
        turns_max: Most instances in work at once.
        cache_instances: Most live orchestrations kept between turns; 0 replays every turn from its history.
        cache_bytes: Most bytes of history behind the live orchestrations that are kept.
        lease_seconds: How long received work is hidden from other workers before it must be renewed, which the worker
            does by itself. After a crash others take the work over once this is past.
        drain_seconds: How long a stop waits for running activities; then they are given back.
        replay_check: `always` runs every turn twice and compares; slow, for tests and for finding what is not
            deterministic.
        turn_seconds_max: Longest time one turn may compute before it is broken off as stuck.
    """

    turns: tuple[str, ...] = ("default",)
    tasks: tuple[str, ...] = ("default",)
    activities_max: int = 64
    threads_max: int = 16
    turns_max: int = 256
    cache_instances: int = 1_000
    cache_bytes: int = 64 * 1024 * 1024
    lease_seconds: float = 30.0
    drain_seconds: float = 10.0
    replay_check: Literal["never", "always"] = "never"
    turn_seconds_max: float = 10.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            Misuse: One is out of its range; the message names it.
        """
        _check_fields(self, prefix=f"{WORKER}.")
        if not self.turns and not self.tasks:
            raise Misuse('A worker with turns=() and tasks=() serves nothing: name a queue, for example "default".')


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured.

    Attributes:
        hub: Where instances live: one URL for store and queue.
        store: URL of the history store, where it is not `hub`.
        queue: URL of the work queue, where it is not the one that naturally goes with the store.
        worker: What a worker serves and how much it takes on.
    """

    hub: str = "sqlite:.perdure"
    store: str | None = None
    queue: str | None = None
    worker: WorkerSettings = field(default_factory=WorkerSettings)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            Misuse: One is out of its range; the message names it.
        """
        _check_fields(self, prefix="")

    @property
    def store_url(self) -> str:
        """The URL of the history store: `store`, else `hub`."""
        return self.hub if self.store is None else self.store


def _check_fields(settings: Any, prefix: str) -> None:
    for name in (each.name for each in dataclasses.fields(settings)):
        if prefix + name in RULES:
            value = RULES[prefix + name].check(getattr(settings, name), f"{type(settings).__name__}.{name}")
            object.__setattr__(settings, name, value)  # In its proper type: a list becomes a tuple, 30 becomes 30.0.
