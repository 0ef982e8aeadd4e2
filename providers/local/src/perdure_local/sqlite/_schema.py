"""What the database of a hub holds, and how older ones are brought up to date.

`log` has every record in the order of writing and no index: each row knows the one before it of the same history, and
`instances` knows the last. A commit appends at the end of one table, whatever number of histories it touches; a cold
read walks back, one lookup per record. (Clustered by instance, writing was measured 5 to 12 times slower.)

A message stays in `messages` unchanged. Where it stands is a small row in exactly one of four tables:

    send ──→ ready ──receive──→ leases ──complete──→ gone
      │        ↑ ↑                │ │
      │   when │ └──lease ended───┘ ├──too often, dead_letter──→ dead ──redrive──→ ready
      ↓     due│                    │                              └────drop────→ gone
    delayed ───┘ ←──────abandon─────┘           a claimed message is born in leases
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Misuse, TooNew

if TYPE_CHECKING:
    import sqlite3

__all__ = ["APPLICATION_ID", "MIGRATIONS", "prepare_schema"]

APPLICATION_ID = 0x50524452
"""`PRDR`, in the header of the file: that it is one of ours."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE log (
            pos INTEGER PRIMARY KEY,    -- grows; the order of writing
            instance INTEGER NOT NULL,  -- whose, only to notice damage
            prev INTEGER NOT NULL,      -- pos of the record before it in this incarnation, 0 for the first
            version INTEGER NOT NULL,
            turn_id TEXT NOT NULL,
            crc INTEGER NOT NULL,
            data BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE instances (
            id INTEGER PRIMARY KEY,     -- in order of creation: those that run together lie on the same pages
            key TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL,   -- of the last record or of the tombstone
            first INTEGER NOT NULL,     -- version of the incarnation's first record
            last INTEGER NOT NULL,      -- log.pos of the last record, 0 in a tombstone
            turn_id TEXT NOT NULL,      -- of the last record
            incarnation TEXT NOT NULL,
            holder INTEGER NOT NULL,    -- opened database whose worker ran its last turn, 0 for none
            summary BLOB                -- NULL in a tombstone
        ) STRICT
        """,
        """
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY,
            queue TEXT NOT NULL,
            message_id TEXT NOT NULL,
            "group" TEXT NOT NULL,
            partition INTEGER NOT NULL,
            not_before REAL NOT NULL,   -- wall time, as it was sent
            body BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE ready (
            queue TEXT NOT NULL, id INTEGER NOT NULL,
            count INTEGER NOT NULL,     -- deliveries so far
            since REAL NOT NULL,        -- monotonic
            PRIMARY KEY (queue, id)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE delayed (
            queue TEXT NOT NULL, due REAL NOT NULL, id INTEGER NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (queue, due, id)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE leases (
            id INTEGER PRIMARY KEY,
            queue TEXT NOT NULL,
            nonce INTEGER NOT NULL,     -- of the delivery: an old receipt fits no new lease
            since REAL NOT NULL,        -- monotonic; a lease from the future is from before a reboot and void
            until REAL NOT NULL,
            count INTEGER NOT NULL,     -- deliveries, this one included
            holder INTEGER NOT NULL     -- opened database that holds it
        ) STRICT
        """,
        """
        CREATE TABLE dead (
            id INTEGER PRIMARY KEY, queue TEXT NOT NULL, nonce INTEGER NOT NULL, count INTEGER NOT NULL,
            reason TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE payloads (
            key TEXT NOT NULL, name TEXT NOT NULL,
            PRIMARY KEY (key, name)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)
"""Statements that lead from schema version n to n + 1. Never change one that was released: append another."""


def prepare_schema(connection: sqlite3.Connection) -> None:
    """Create the tables or bring them up to date; under the lock, outside a transaction.

    Raises:
        TooNew: A newer release wrote the database. Nothing was changed: use that release.
        Misuse: It is a database of another program: name another folder.
    """
    version = _pragma(connection, "user_version")
    if version > len(MIGRATIONS):
        raise TooNew(
            f"The hub has schema version {version}, this release knows {len(MIGRATIONS)}: use the newer release."
        )
    if version and _pragma(connection, "application_id") != APPLICATION_ID:
        raise Misuse("hub.db is the database of another program: name another folder for the hub.")
    if not version and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise Misuse("hub.db has tables that are not Perdure's: name another folder for the hub.")
    if version < len(MIGRATIONS):
        _migrate(connection, version)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    """All in one transaction: a crash leaves the old version, whole."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in (statement for step in MIGRATIONS[version:] for statement in step):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
