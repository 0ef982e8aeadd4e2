"""The database of a hub folder, opened once per process and event loop, however many stores and queues use it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from perdure.spi import Key, Misuse, QueueName, Unavailable
from perdure_local.sqlite._alive import Alive
from perdure_local.sqlite._errors import translated
from perdure_local.sqlite._folder import check_log, note_made, prepare_folder
from perdure_local.sqlite._group import GroupCommit
from perdure_local.sqlite._histories import read_tokens
from perdure_local.sqlite._lock import FairLock
from perdure_local.sqlite._payloads import PayloadFiles
from perdure_local.sqlite._schema import prepare_schema
from perdure_local.sqlite._waiting import KeyWaiting, Waiting
from perdure_local.sqlite._wake import Pokes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from perdure.spi import Entropy
    from perdure_local.sqlite._group import Transaction

__all__ = ["Database"]

T = TypeVar("T")

_SQLITE_OLDEST = (3, 37, 0)
"""The first with STRICT tables."""

_DEAD_LOOK_SECONDS = 1.0
"""So long work may lie with a process that died, and so often the folder is listed."""

_BUSY_SECONDS = 0.25
"""How long another program's lock may block the loop. Perdure's own processes never meet here: they share a lock."""

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    # Checkpoints are ours, under the lock: SQLite up to 3.51.2 can damage a log that two processes restart at once.
    "wal_autocheckpoint = 0",
    "journal_size_limit = 16777216",
    "mmap_size = 0",
    "cache_size = -32768",
    "temp_store = MEMORY",
    "secure_delete = FAST",
    "trusted_schema = OFF",
    *(("fullfsync = ON", "checkpoint_fullfsync = ON") if sys.platform == "darwin" else ()),
)


class Database:
    """One connection, one group commit and one socket, shared by the stores and queues of one event loop.

    Attributes:
        changes: Makes changes.
        key_changes: Who waits for a history to change.
        key_ends: Who waits for an instance to end.
        payloads: The files of large values.
        connection: In autocommit mode. No read transaction outlives a call, or checkpoints could not restart the log.
        sqlite_version: Of the library that Python was built with.
    """

    changes: GroupCommit
    connection: sqlite3.Connection
    payloads: PayloadFiles
    sqlite_version = sqlite3.sqlite_version

    def __init__(self, folder: Path, entropy: Entropy) -> None:
        self.folder = folder
        self._file = str(folder / "hub.db")
        self._holder = 1 + int.from_bytes(entropy.random_bytes(6), "big")
        self._users = 0
        self._looks_for_dead_at = 0.0
        self._opening = asyncio.Lock()
        self._is_open = False
        self._queues: Waiting[QueueName] = Waiting()
        self.key_changes = KeyWaiting(self._listen)
        self.key_ends = KeyWaiting(self._listen)

    @classmethod
    async def open(cls, path: str, entropy: Entropy) -> Database:
        """Open the database in a folder, or share it if this loop has it open.

        Raises:
            TooNew: A newer release wrote it.
            Corrupt: It is damaged.
            Misuse: The folder cannot be used.
        """
        with translated(path):
            folder = prepare_folder(path)
        place = (folder, asyncio.get_running_loop())
        database = _OPEN.get(place)
        if database is None:
            database = _OPEN[place] = cls(folder, entropy)
        database._users += 1
        try:
            async with database._opening:
                if not database._is_open:
                    await database._open()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Let go; the last one who does closes the database."""
        self._users -= 1
        if self._users:
            return
        place = (self.folder, asyncio.get_running_loop())
        if _OPEN.get(place) is self:
            del _OPEN[place]
        if self._is_open:
            self._is_open = False
            self._queues.wake(self._queues.names)
            self.key_changes.wake_all()
            self.key_ends.wake_all()
            # Half closed, the log could be carried over without the lock.
            self._closing = asyncio.create_task(self._close())
            await asyncio.shield(self._closing)

    def check_open(self) -> None:
        """Raise Unavailable if it was closed while somebody waited."""
        if not self._is_open:
            raise Unavailable("The hub was closed in this process.")

    def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Run several reads that see one moment."""
        self.check_open()
        with translated(self._file):
            self.connection.execute("BEGIN")
            try:
                return look(self.connection)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")

    def look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read of one statement."""
        self.check_open()
        with translated(self._file):
            return look(self.connection)

    async def on_thread(self, call: Callable[[], T]) -> T:
        """Make a call that blocks on files."""
        self.check_open()
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    @contextmanager
    def queue_change(self, queue: QueueName) -> Generator[asyncio.Event, None, None]:
        """Give an event that is set when a message may have come to the queue, from any process."""
        self._listen()
        with self._queues.change_of(queue) as event:
            yield event

    async def bury_the_dead(self, now: float) -> bool:
        """End the leases of processes that died, if there are any; looks at most once in a while.

        Args:
            now: Monotonic seconds.

        Returns:
            Whether something that was held is free now.

        Raises:
            Unavailable: Nothing was ended; it is looked at again in a while.
            Unknown: Likewise, or everything was.
        """
        if now < self._looks_for_dead_at:
            return False
        self._looks_for_dead_at = now + _DEAD_LOOK_SECONDS
        with translated(str(self.folder)):
            if not self._alive.find_dead():
                return False
            freed, dead = await self.changes.run(self._bury)
            # Crash here: their files are found again, and nothing of theirs is held.
            self._alive.forget(dead)
        return freed

    def _bury(self, transaction: Transaction) -> tuple[bool, list[int]]:
        dead = self._alive.find_dead()  # again: now under the lock
        return transaction.messages.end_leases_of(dead), dead

    def others(self) -> tuple[int, ...]:
        """Tell which other processes wait for something."""
        return self._pokes.others()

    async def _open(self) -> None:
        with translated(str(self.folder)), ExitStack() as undo:
            self._lock = FairLock(self.folder)
            undo.callback(self._lock.close)
            self._pokes = Pokes(self.folder / "wake", self._holder, self._on_poke)
            undo.callback(self._pokes.close)
            self._alive = Alive(self.folder / "alive", self._holder)
            undo.callback(self._alive.close)
            await self._lock.wait()
            try:
                self._alive.begin()
                with translated(self._file):
                    if not _CONNECTED[self.folder]:
                        check_log(self.folder)
                    self.connection = _connect(self.folder / "hub.db")
                _CONNECTED[self.folder] += 1
            finally:
                self._lock.release()
            undo.pop_all()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="perdure-files")
        self.payloads = PayloadFiles(self.folder / "payloads")
        self.changes = GroupCommit(self.connection, self._lock, self._holder, self._on_commit, where=self._file)
        self._is_open = True

    async def _close(self) -> None:
        await self.changes.close()
        self._threads.shutdown(wait=False)
        with translated(str(self.folder)), ExitStack() as last:
            last.callback(self._lock.close)  # Whatever fails: others wait for it.
            last.callback(self._alive.close)
            try:
                self._pokes.close()
            finally:
                # The last connection of all carries the log over and deletes it, which must not meet another's write.
                await self._lock.wait()
                self.connection.close()
                _CONNECTED[self.folder] -= 1

    def _listen(self) -> None:
        self.check_open()
        with translated(str(self.folder)):
            self._pokes.listen()

    def _on_commit(self, queues: AbstractSet[QueueName], changed: AbstractSet[Key], ended: AbstractSet[Key]) -> None:
        self._queues.wake(queues)
        self.key_changes.wake(changed)
        self.key_ends.wake(ended)
        self._pokes.poke_others()

    def _on_poke(self) -> None:
        """Another process changed something: wake all who wait for messages, and who waits for a changed history."""
        self._queues.wake(self._queues.names)
        waited_for = {*self.key_changes.names, *self.key_ends.names}
        if waited_for:
            tokens = self.look(lambda connection: read_tokens(connection, waited_for))
            self.key_changes.wake_where_new(tokens)
            self.key_ends.wake_where_new(tokens)


_OPEN: dict[tuple[Path, asyncio.AbstractEventLoop], Database] = {}
_CONNECTED: Counter[Path] = Counter()
"""How many connections this process has to each hub; looked at and changed under the hub's lock."""


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file under the lock: this may repair what a crash left, create the tables, or bring them up to date."""
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        oldest = ".".join(map(str, _SQLITE_OLDEST))
        raise Misuse(f"Python was built with SQLite {sqlite3.sqlite_version}, sqlite: needs {oldest} or newer.")
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=256)
    try:
        prepare_schema(connection)
        _configure(connection, path)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        note_made(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        raise Misuse(f"{path} is on a file system without shared memory, which SQLite needs: use a local disk.")
