"""Perdure on local files. `sqlite:PATH` keeps a hub in a folder: one machine, any number of processes."""

from perdure_local._plugin import perdure_committer, perdure_natural_queues, perdure_queues, perdure_stores
from perdure_local.sqlite import SqliteCommitter, SqliteQueue, SqliteStore

__all__ = [
    "SqliteCommitter",
    "SqliteQueue",
    "SqliteStore",
    "perdure_committer",
    "perdure_natural_queues",
    "perdure_queues",
    "perdure_stores",
]
