"""Perdure on redis."""

from perdure_redis._plugin import perdure_natural_queues, perdure_queues, perdure_stores
from perdure_redis._queue import RedisQueue
from perdure_redis._store import RedisStore

__all__ = ["RedisQueue", "RedisStore", "perdure_natural_queues", "perdure_queues", "perdure_stores"]
