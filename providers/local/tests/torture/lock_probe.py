"""Shows on a worker's row of the torture when this process holds a lock that other processes wait for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from perdure_conformance.torture import Phase

from perdure_local.file import _messages, _objects
from perdure_local.file._folder import locked
from perdure_local.sqlite._group import GroupCommit, Transaction

if TYPE_CHECKING:
    from collections.abc import Generator

    from perdure_conformance.torture import Row


def watch(row: Row) -> None:
    """Watch the locks of both providers: mixed hubs have both."""
    watch_sqlite(row)
    watch_files(row)


def watch_sqlite(row: Row) -> None:
    """Show while a write transaction is open, and be held in it, with all written and nothing committed."""
    transact, write = GroupCommit._transact, Transaction.write

    def watched_transact(self: GroupCommit, changes: Any) -> list[Any]:
        with row.during(Phase.TRANSACTION):
            return transact(self, changes)

    def watched_write(self: Transaction) -> int:
        rows = write(self)
        if row.count(Phase.COMMIT):  # not where messages are only received
            row.pass_by(Phase.TRANSACTION)
        return rows

    GroupCommit._transact = watched_transact  # type: ignore[method-assign]
    Transaction.write = watched_write  # type: ignore[method-assign]


def watch_files(row: Row) -> None:
    """Show from before a lock is asked for until it is given back."""

    @contextmanager
    def watched(*args: Any, **options: Any) -> Generator[None]:
        with row.during(Phase.TRANSACTION), locked(*args, **options):
            yield

    for module in (_messages, _objects):
        vars(module)["locked"] = watched
