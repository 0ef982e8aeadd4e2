"""What this package offers to a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import provider
from perdure_local.file import FileQueue, FileStore
from perdure_local.sqlite import SqliteCommitter, SqliteQueue, SqliteStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import Committer, Environment, HistoryStore, QueueFactory, StoreFactory, WorkQueue

__all__ = ["perdure_committer", "perdure_natural_queues", "perdure_queues", "perdure_stores"]


@provider
def perdure_stores() -> Mapping[str, StoreFactory]:
    """Offer `sqlite:` and `file:` as stores."""
    return {"sqlite": SqliteStore, "file": FileStore}


@provider
def perdure_queues() -> Mapping[str, QueueFactory]:
    """Offer `sqlite:` and `file:` as queues."""
    return {"sqlite": SqliteQueue, "file": FileQueue}


@provider
def perdure_natural_queues() -> Mapping[str, str]:
    """Keep the queue of a store in the same folder."""
    return {"sqlite": "{url}", "file": "{url}"}


@provider
def perdure_committer(store: HistoryStore, queue: WorkQueue, environment: Environment) -> Committer | None:
    """Offer one transaction per Step where store and queue are one database."""
    if isinstance(store, SqliteStore) and isinstance(queue, SqliteQueue) and store.shares_database_with(queue):
        return SqliteCommitter(store, queue, environment)
    return None
