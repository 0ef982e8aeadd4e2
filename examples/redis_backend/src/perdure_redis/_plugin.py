"""What this package offers to a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import provider

from perdure_redis._queue import RedisQueue
from perdure_redis._store import RedisStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.spi import QueueFactory, StoreFactory

__all__ = ["perdure_natural_queues", "perdure_queues", "perdure_stores"]


@provider
def perdure_stores() -> Mapping[str, StoreFactory]:
    """Offer `redis:` as a store."""
    return {"redis": RedisStore}


@provider
def perdure_queues() -> Mapping[str, QueueFactory]:
    """Offer `redis:` as a queue."""
    return {"redis": RedisQueue}


@provider
def perdure_natural_queues() -> Mapping[str, str]:
    """Keep the messages of a store where the store is, if only the store is named."""
    return {"redis": "{url}"}
