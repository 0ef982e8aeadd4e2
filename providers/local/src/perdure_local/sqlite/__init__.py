"""`sqlite:PATH`: histories, queues and Steps in one SQLite database, shared by the processes of one machine.

Read in this order: `_schema.py` (what is stored), `_histories.py` and `_messages.py` (what a write transaction does),
`_group.py` (how Steps share a transaction), `_lock.py` and `_wake.py` (between processes), `_database.py` (all of it
put together); the rest is the three interfaces.
"""

from perdure_local.sqlite._committer import SqliteCommitter
from perdure_local.sqlite._queue import SqliteQueue
from perdure_local.sqlite._store import SqliteStore

__all__ = ["SqliteCommitter", "SqliteQueue", "SqliteStore"]
