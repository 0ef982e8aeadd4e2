"""Group commit: whatever changes wait are made in one write transaction, under the lock, on the loop's own thread.

    run() ──▶ waiting ──next round of the loop──▶ lock free? ──▶ BEGIN … COMMIT ──▶ unlock ──▶ everybody has an answer
                 ▲                                  │ no: a thread waits for it        │
                 └────────── what came meanwhile ───┴──────────────────────────────────┘

The commit is not moved to a thread: a lone Step costs one sync either way, and a writer thread beside a busy loop was
measured six times slower, because sqlite3 gives the GIL away at every row.

Nobody's failure is another's (C4): if a transaction fails, its changes are made again in two halves, down to the one
that cannot be made. A change must therefore keep nothing of an attempt that failed.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from perdure.spi import Unavailable
from perdure_local.sqlite._errors import is_busy, translate
from perdure_local.sqlite._histories import HistoryChanges
from perdure_local.sqlite._messages import MessageChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from perdure.spi import Delivery, Key, QueueName
    from perdure_local.sqlite._lock import FairLock

__all__ = ["GroupCommit", "Transaction"]

Answer = TypeVar("Answer")

_CHANGES_MAX = 1024
"""Of one transaction: more would only let the first ones wait longer."""

_ROUNDS_MAX = 8
"""Rounds of the loop that a group waits for company: so long as each brings more, the sync is worth more."""

_BYTES_MAX = 32 * 2**20
"""Of one transaction, unless a single change is larger."""

_PAGES_TO_CHECKPOINT = 2500
"""So much is written, about, before the log is carried into the database file: bounds the log, and how long that takes.
No more than an estimate is to be had: what SQLite counts it does not tell Python."""

_PAGE_BYTES, _PAGES_PER_COMMIT, _ROWS_PER_PAGE = 4096, 6, 4

_log = logging.getLogger(__name__)


class Transaction:
    """One write transaction: what its changes decide is collected, and written with few statements."""

    def __init__(self, connection: sqlite3.Connection, holder: int) -> None:
        self.histories = HistoryChanges(connection, holder)
        self.messages = MessageChanges(connection, holder)
        self.connection = connection

    def write(self) -> int:
        """Write what was decided, and tell how many rows that were."""
        return self.histories.write() + self.messages.write()


@dataclass(slots=True)
class _Change:
    """What somebody wants to have changed.

    Attributes:
        apply: Makes the change and gives the answer.
        keys: Instances that it looks at: read together with those of the others.
        deliveries: Leases that it looks at, likewise.
        size: Bytes that it writes, about.
        answer: Where the answer goes.
        is_durable: Whether it has to outlast a power cut.
    """

    apply: Callable[[Transaction], Any]
    keys: Sequence[Key]
    deliveries: Sequence[Delivery]
    size: int
    answer: asyncio.Future[Any]
    is_durable: bool = True


class GroupCommit:
    """Makes changes, many in one transaction. There is one per database and process: the only way to write."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: FairLock,
        holder: int,
        on_commit: Callable[[AbstractSet[QueueName], AbstractSet[Key], AbstractSet[Key]], None],
        *,
        where: str = "",
    ) -> None:
        """Get ready.

        Args:
            connection: In autocommit mode; used on the loop's thread only.
            lock: Not held.
            holder: Name of this opened database.
            on_commit: Told, when the lock is free again, in which queues and histories something is new, and
                which of the histories ended.
            where: Names the database in errors.
        """
        self._connection = connection
        self._lock = lock
        self._holder = holder
        self._where = where
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Change] = deque()
        self._flush_is_coming = False
        self._rounds = 0
        self._counted = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._committing = False
        self._changed_queues: set[QueueName] = set()
        self._changed_keys: set[Key] = set()
        self._ended_keys: set[Key] = set()
        self._is_sync_full = True
        self._pages_in_log = 0
        self._task: asyncio.Task[None] | None = None

    async def run(
        self,
        apply: Callable[[Transaction], Answer],
        *,
        keys: Sequence[Key] = (),
        deliveries: Sequence[Delivery] = (),
        size: int = 0,
        undo: Callable[[Answer], Callable[[Transaction], object]] | None = None,
        is_durable: bool = True,
    ) -> Answer:
        """Make a change; cancelling this either prevents it or leaves it whole.

        Args:
            apply: Makes the change in the transaction; may be called again if its group failed.
            keys: Instances it looks at.
            deliveries: Leases it looks at.
            size: Bytes it writes, about.
            undo: From the answer, the change that gives back what it took: made if nobody waits for it any more.
            is_durable: False: a power cut may undo it. The disk is not waited for where a group holds nothing else.

        Raises:
            CancelledError: This was cancelled.
            Unavailable: Nothing happened: make the same change again, later.
            Unknown: It may have happened.
        """
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._add(_Change(apply, keys, deliveries, size, answer, is_durable))
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer was on its way: what it gives is held for somebody who has gone.
            if (
                undo is not None
                and not self._closed
                and answer.done()
                and not answer.cancelled()
                and answer.exception() is None
            ):
                self._add(_Change(undo(answer.result()), (), (), 0, self._loop.create_future()))
            raise

    async def close(self) -> None:
        """Refuse new changes, and wait until those that wait are made."""
        self._closed = True
        await self._idle.wait()

    def _add(self, change: _Change) -> None:
        if self._closed:
            raise Unavailable("The hub is being closed in this process.")
        self._waiting.append(change)
        self._idle.clear()
        self._call_flush()

    def _call_flush(self) -> None:
        if not self._flush_is_coming:
            self._flush_is_coming = True
            self._rounds = self._counted = 0
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        # A round that brings nothing more: whoever could be in this group is. Instances that were out of step by a
        # round or two go on together from here; a lone change waits for one round in which nothing happens.
        if self._counted < len(self._waiting) < _CHANGES_MAX and self._rounds < _ROUNDS_MAX:
            self._counted = len(self._waiting)
            self._rounds += 1
            self._loop.call_soon(self._flush)
        elif self._try_lock():
            self._flush_under_lock()
        else:
            self._task = self._loop.create_task(self._flush_when_free())

    def _try_lock(self) -> bool:
        try:
            return self._lock.try_acquire()
        except OSError:
            return False  # Whoever waits for it meets this, too, and there it can be told.

    async def _flush_when_free(self) -> None:
        try:
            await self._lock.wait()
        except OSError as error:
            while self._waiting:
                _fail(self._waiting.popleft(), translate(error, where=self._where))
            self._flush_is_coming = False
            self._idle.set()
        else:
            self._flush_under_lock()

    def _flush_under_lock(self) -> None:
        try:
            self._make(self._take())
            self._checkpoint()
        finally:
            self._lock.release()
            self._flush_is_coming = False
            if self._waiting:
                self._call_flush()
            else:
                self._idle.set()
        if self._changed_queues or self._changed_keys:
            queues, self._changed_queues = self._changed_queues, set()
            keys, self._changed_keys = self._changed_keys, set()
            ended, self._ended_keys = self._ended_keys, set()
            # Whoever is woken finds the lock free. And what fails here is no failure of what was committed.
            self._on_commit(queues, keys, ended)

    def _take(self) -> list[_Change]:
        """Take the changes of one transaction, without those that nobody waits for any more."""
        taken: list[_Change] = []
        size = 0
        while self._waiting and len(taken) < _CHANGES_MAX:
            size += self._waiting[0].size
            if taken and size > _BYTES_MAX:
                break
            change = self._waiting.popleft()
            if not change.answer.cancelled():
                taken.append(change)
        return taken

    def _make(self, changes: Sequence[_Change]) -> None:
        if not changes:
            return
        try:
            answers = self._transact(changes)
        except Exception as error:  # noqa: BLE001 - it goes to whoever made the change; the others must get theirs
            if len(changes) == 1 or is_busy(error):
                for change in changes:
                    _fail(change, translate(error, where=self._where, committing=self._committing))
            else:
                self._make(changes[: len(changes) // 2])
                self._make(changes[len(changes) // 2 :])
        else:
            for change, answer in zip(changes, answers, strict=True):
                change.answer.set_result(answer)

    def _transact(self, changes: Sequence[_Change]) -> list[Any]:
        is_durable = any(change.is_durable for change in changes)
        self._set_sync(is_full=is_durable)
        try:
            return self._write(changes)
        finally:
            self._set_sync(is_full=True)

    def _set_sync(self, *, is_full: bool) -> None:
        """Say whether COMMIT waits for the disk. What is not synced is, with the next commit that is."""
        if self._is_sync_full is not is_full:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if is_full else 'NORMAL'}")
            self._is_sync_full = is_full

    def _write(self, changes: Sequence[_Change]) -> list[Any]:
        transaction = Transaction(self._connection, self._holder)
        self._committing = False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            transaction.histories.load(key for change in changes for key in change.keys)
            transaction.messages.load(delivery for change in changes for delivery in change.deliveries)
            answers = [change.apply(transaction) for change in changes]
            rows = transaction.write()
            self._committing = True
            # Crash before this line has reached the disk: none of the group happened. After it: all of it.
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        size = sum(change.size for change in changes)
        self._pages_in_log += _PAGES_PER_COMMIT + rows // _ROWS_PER_PAGE + size // _PAGE_BYTES
        self._changed_queues |= transaction.messages.changed_queues
        self._changed_keys |= transaction.histories.changed_keys
        self._ended_keys |= transaction.histories.ended_keys
        return answers

    def _checkpoint(self) -> None:
        if self._pages_in_log < _PAGES_TO_CHECKPOINT:
            return
        self._pages_in_log = 0
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            # Everything is committed and stays in the log; the next checkpoint carries it over.
            _log.warning("The write-ahead log could not be carried into the database: %s", error)


def _fail(change: _Change, error: Exception) -> None:
    if not change.answer.done():
        change.answer.set_exception(error)
