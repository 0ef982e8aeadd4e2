"""What `memory:` offers to whoever opens a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.memory._committer import MemoryCommitter
from perdure.memory._queue import MemoryQueue
from perdure.memory._store import MemoryStore
from perdure.spi import provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import Committer, Environment, HistoryStore, QueueFactory, StoreFactory, WorkQueue

__all__ = ["perdure_committer", "perdure_natural_queues", "perdure_queues", "perdure_stores"]


@provider
def perdure_stores() -> Mapping[str, StoreFactory]:
    """Offer the store."""
    return {"memory": MemoryStore}


@provider
def perdure_queues() -> Mapping[str, QueueFactory]:
    """Offer the queue."""
    return {"memory": MemoryQueue}


@provider
def perdure_natural_queues() -> Mapping[str, str]:
    """A store's own URL names its queue."""
    return {"memory": "{url}"}


@provider
def perdure_committer(store: HistoryStore, queue: WorkQueue, environment: Environment) -> Committer | None:  # noqa: ARG001 - pluggy passes by name
    """Commit as a whole wherever both sides are in memory."""
    if isinstance(store, MemoryStore) and isinstance(queue, MemoryQueue):
        return MemoryCommitter(store, queue)
    return None
