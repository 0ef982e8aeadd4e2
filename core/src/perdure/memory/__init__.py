"""The provider `memory:`, a hub that lives as long as its process.

`memory:NAME` is shared by everybody in the process who opens that name, and gone when the last one has closed it;
plain `memory:` is private. It is the reference model of the conformance suite: every promise of `perdure.spi` in
dicts and heaps. `_histories.py` and `_messages.py` hold the rules, without a single `await`; the rest lets them wait.
"""

from perdure.memory._committer import MemoryCommitter
from perdure.memory._plugin import perdure_committer, perdure_natural_queues, perdure_queues, perdure_stores
from perdure.memory._queue import MemoryQueue
from perdure.memory._store import MemoryStore

__all__ = [
    "MemoryCommitter",
    "MemoryQueue",
    "MemoryStore",
    "perdure_committer",
    "perdure_natural_queues",
    "perdure_queues",
    "perdure_stores",
]
