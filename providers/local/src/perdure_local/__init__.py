"""Perdure on local files: one machine, any number of processes.

`sqlite:PATH` keeps a hub in a database, `file:PATH` in plain files that people can read.
"""

from perdure_local._plugin import perdure_committer, perdure_natural_queues, perdure_queues, perdure_stores
from perdure_local.file import FileObjects, FileQueue, FileStore
from perdure_local.sqlite import SqliteCommitter, SqliteQueue, SqliteStore

__all__ = [
    "FileObjects",
    "FileQueue",
    "FileStore",
    "SqliteCommitter",
    "SqliteQueue",
    "SqliteStore",
    "perdure_committer",
    "perdure_natural_queues",
    "perdure_queues",
    "perdure_stores",
]
