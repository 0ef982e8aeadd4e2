"""SqliteStore: histories in the database, large payloads in files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Corrupt,
    Head,
    HistoryStore,
    Key,
    Missing,
    Misuse,
    NotModified,
    PayloadScope,
    Purged,
    Query,
    StoredPayload,
    Summary,
    Token,
    Tombstone,
)
from perdure_local.sqlite._access import Access
from perdure_local.sqlite._histories import read_history, read_summaries, read_token_of_open, read_tokens
from perdure_local.sqlite._limits import STORE, check_append
from perdure_local.sqlite._wake import FALLBACK_SECONDS

if TYPE_CHECKING:
    import asyncio
    import sqlite3
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi import Environment, Location
    from perdure_local.sqlite._group import Transaction
    from perdure_local.sqlite._queue import SqliteQueue

__all__ = ["SqliteStore"]

_PAGE_ROWS = 500
"""Of a scan: about a millisecond. Between two pages others run, and no read transaction is open."""


class SqliteStore(HistoryStore):
    """The histories of a hub in a folder of this machine.

    Args:
        location: `sqlite:FOLDER`; the folder is created where there is none.
        environment: The hub's clock and entropy. The monotonic clock must be the machine's, as `SystemClock` is.
    """

    capabilities = STORE

    def __init__(self, location: Location, environment: Environment) -> None:
        self.access = Access(location, environment)
        self._clock = environment.clock
        self._entropy = environment.entropy

    def shares_database_with(self, queue: SqliteQueue) -> bool:
        """Tell whether both are open on one database, so that one transaction can change both."""
        return self.access.is_shared_with(queue.access)

    @property
    def sqlite_version(self) -> str:
        """Tell the version of the SQLite library, for people who look after the hub."""
        return self.access.database.sqlite_version

    async def open(self) -> None:
        await self.access.open()

    async def aclose(self) -> None:
        await self.access.close()

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        now, database = self._clock.now(), self.access.database
        try:
            return database.look(lambda connection: read_history(connection, key, after, known, now))
        except Corrupt:
            # Perhaps another process has purged it between the two statements: in a transaction they see one moment.
            return database.read(lambda connection: read_history(connection, key, after, known, now))

    async def append(self, append: Append) -> Committed | Conflict:
        check_append(append)
        return await self.access.database.changes.run(
            lambda transaction: transaction.histories.append(append), keys=(append.key,), size=len(append.record)
        )

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        # Only payloads that were there before: a new incarnation may put its own as soon as the tombstone stands.
        payloads = await self._list_payloads(PayloadScope(key))
        outcome = await self.access.database.changes.run(
            lambda transaction: transaction.histories.purge(key, expected), keys=(key,)
        )
        # Crash here: the rows remain; whoever lists the payloads of the tombstone deletes them.
        if isinstance(outcome, Purged):
            await self.delete_payloads(payloads)
        return outcome

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        found, start, inclusive = 0, query.id_prefix, True
        while True:
            page = self._read_page(start, inclusive=inclusive)
            for entry in page:
                start = entry if isinstance(entry, str) else entry.key
                if not start.startswith(query.id_prefix):
                    return
                if isinstance(entry, Summary) and query.matches(entry):
                    yield entry
                    found += 1
                    if found == query.limit:
                        return
            if len(page) < _PAGE_ROWS:
                return
            inclusive = False
            await self._clock.sleep(0)

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        database = self.access.database
        deadline = self._clock.monotonic() + wait_seconds
        with database.key_changes.of(key, known) as change:
            while True:
                if database.look(lambda connection: read_tokens(connection, (key,)))[key] != known:
                    return True
                if not await self._look_again(change, deadline):
                    return False

    async def ended(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        database = self.access.database
        deadline = self._clock.monotonic() + wait_seconds
        with database.key_ends.of(key, known) as end:
            while True:
                token = database.look(lambda connection: read_token_of_open(connection, key))
                if token is None:
                    return True
                database.key_ends.see(key, token)
                if not await self._look_again(end, deadline):
                    return False

    async def _look_again(self, event: asyncio.Event, deadline: float) -> bool:
        """Wait until it is worth to look again; False when the time is over."""
        patience = deadline - self._clock.monotonic()
        if patience <= 0:
            return False
        await self._clock.wait(event, min(patience, FALLBACK_SECONDS))
        event.clear()
        return True

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        most = STORE.payload_bytes_max
        if len(data) > most:
            raise Misuse(
                f"{payload.key!r}: payload {payload.name!r} has {len(data)} bytes, at most payload_bytes_max={most} go."
            )
        database, salt = self.access.database, self._entropy.random_bytes(8).hex()
        await database.changes.run(lambda transaction: _insert_payload(transaction, payload))
        # Crash here: a row without a file. It is listed, and deleted by whoever collects what no record refers to.
        await database.on_thread(lambda: database.payloads.write(payload, data, salt))

    async def get_payload(self, payload: StoredPayload) -> bytes:
        database = self.access.database
        return await database.on_thread(lambda: database.payloads.read(payload))

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        for payload in await self._list_payloads(scope):
            yield payload

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        if payloads:
            database = self.access.database
            await database.on_thread(lambda: database.payloads.delete(payloads))
            await database.changes.run(lambda transaction: _delete_payloads(transaction, payloads))

    def _read_page(self, start: str, *, inclusive: bool) -> list[Summary | str]:
        return self.access.database.look(
            lambda connection: read_summaries(connection, start, _PAGE_ROWS, inclusive=inclusive)
        )

    async def _list_payloads(self, scope: PayloadScope) -> list[StoredPayload]:
        names = self.access.database.look(lambda connection: _read_payload_names(connection, scope.key))
        return [StoredPayload(scope.key, name) for name in names if name.startswith(scope.prefix)]


def _read_payload_names(connection: sqlite3.Connection, key: Key) -> list[str]:
    rows = connection.execute("SELECT name FROM payloads WHERE key = ? ORDER BY name", (key,))
    return [row[0] for row in rows.fetchall()]


def _insert_payload(transaction: Transaction, payload: StoredPayload) -> None:
    transaction.connection.execute("INSERT OR IGNORE INTO payloads VALUES (?, ?)", (payload.key, payload.name))


def _delete_payloads(transaction: Transaction, payloads: Sequence[StoredPayload]) -> None:
    rows = [(payload.key, payload.name) for payload in payloads]
    transaction.connection.executemany("DELETE FROM payloads WHERE key = ? AND name = ?", rows)
