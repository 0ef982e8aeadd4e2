"""What lies in the database: damage is found, the log stays small, a scan holds nobody up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, addition, begin, creation, listed, read_head

from perdure.spi import Committed, Corrupt, Key, Query, StoredPayload
from perdure_local.sqlite import _group, _store

if TYPE_CHECKING:
    from pathlib import Path

    from perdure_conformance import Harness

MIB = 2**20


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log SET data = x'00' WHERE version = 2",
        "UPDATE log SET turn_id = 'another' WHERE version = 2",
        "UPDATE log SET version = 9 WHERE version = 2",
        "UPDATE log SET instance = 9 WHERE version = 2",
        "UPDATE log SET prev = 0 WHERE version = 2",
        "UPDATE log SET prev = 3 WHERE version = 2",
        "UPDATE log SET prev = 99 WHERE version = 3",
        "DELETE FROM log WHERE version = 1",
        "DELETE FROM log WHERE version = 2",
        "DELETE FROM log WHERE version = 3",
        "UPDATE instances SET last = 2",
        "UPDATE instances SET last = 99",
        "UPDATE instances SET summary = x'c1'",
        "UPDATE instances SET summary = x'90'",
    ],
)
async def test_h5_damage_is_told_and_never_read_as_a_history(harness: Harness, damage: str) -> None:
    """A record that is missing or another would be replayed as if it had been so."""
    store = await harness.open_store()
    await begin(store, records=3)
    with closing(sqlite3.connect(harness.folder / "hub.db")) as database, database:
        assert database.execute(damage).rowcount == 1

    with pytest.raises(Corrupt, match=f"{ORDER}.*backup"):
        await store.read(ORDER)


async def test_h5_a_record_that_is_missing_before_those_asked_for_is_no_damage_of_them(harness: Harness) -> None:
    """A cold read may stop at what the caller has; it looks no further."""
    store = await harness.open_store()
    await begin(store, records=3)
    with closing(sqlite3.connect(harness.folder / "hub.db")) as database, database:
        database.execute("DELETE FROM log WHERE version = 1")

    head = await read_head(store, ORDER, after=2)

    assert [record.version for record in head.records] == [3]


async def test_a_damaged_page_is_told(harness: Harness) -> None:
    """SQLite's own error has another name."""
    store = await harness.open_store()
    await begin(store, records=200)
    await store.aclose()
    file = harness.folder / "hub.db"
    file.write_bytes(file.read_bytes()[:8192] + bytes(len(file.read_bytes()) - 8192))

    with pytest.raises(Corrupt, match="backup"):
        await (await harness.open_store()).read(ORDER)


async def test_h9_a_payload_that_is_gone_is_told(harness: Harness) -> None:
    store = await harness.open_store()
    await store.put_payload(StoredPayload(ORDER, "large"), b"content")
    for file in files_of_payloads(harness.folder):
        file.unlink()

    with pytest.raises(Corrupt, match="'large' is not there"):
        await store.get_payload(StoredPayload(ORDER, "large"))
    assert [payload.name async for payload in store.payloads(scope_of(ORDER))] == ["large"]


async def test_a_new_incarnation_leaves_no_records_of_the_old_one_behind(harness: Harness) -> None:
    """An id that is used again and again must not make the log grow."""
    store = await harness.open_store()
    version = await begin(store, records=50)
    for incarnation in ("second", "third"):
        await store.append(creation(ORDER, incarnation, expected=version))
        version += 1
    await begin(store, Key("other"))

    assert count_rows(harness.folder, "log") == 2
    await store.purge(ORDER, version)
    assert count_rows(harness.folder, "log") == 1
    assert (await read_head(store, Key("other"))).version == 1


@pytest.mark.parametrize("record_bytes", [100, 100_000])
async def test_the_write_ahead_log_stays_small(harness: Harness, record_bytes: int) -> None:
    """It is carried into the database by size; else it would grow until the last process ends."""
    store = await harness.open_store()
    count = 3 * max(_group._ROWS_TO_CHECKPOINT // 2, 1) if record_bytes == 100 else 400
    keys = [Key(f"order-{number}") for number in range(count)]
    log, sizes = harness.folder / "hub.db-wal", []
    for start in range(0, count, 50):
        for append in [creation(key, record=bytes(record_bytes)) for key in keys[start : start + 50]]:
            await store.append(append)
        sizes.append(log.stat().st_size)

    most = _group._BYTES_TO_CHECKPOINT + 2 * _group._ROWS_TO_CHECKPOINT * 4096
    assert max(sizes) < most
    assert len(set(sizes[-2:])) == 1, "it still grows"


async def test_h8_a_scan_reads_pages_and_holds_no_transaction_between_them(harness: Harness) -> None:
    """An open read would keep every checkpoint from restarting the log."""
    store: Any = await harness.open_store()
    keys = [Key(f"order-{number:05}") for number in range(2 * _store._PAGE_ROWS + 1)]
    for key in keys:
        store.access.database.changes._add  # noqa: B018 - it must be there
    await append_all(store, keys)
    found = []

    async for summary in store.scan(Query()):
        found.append(summary.key)
        assert not store.access.database.connection.in_transaction

    assert found == keys


async def test_h8_a_scan_of_one_page_exactly_ends(harness: Harness) -> None:
    store = await harness.open_store()
    keys = [Key(f"order-{number:05}") for number in range(_store._PAGE_ROWS)]
    await append_all(store, keys)

    assert await listed(store) == keys
    assert await listed(store, Query(id_prefix="order-0000", limit=7)) == keys[:7]
    assert await listed(store, Query(id_prefix="order-0000")) == keys[:10]


async def test_a_read_of_news_does_not_load_what_the_caller_has(harness: Harness) -> None:
    """A worker with a warm cache reads only what others have added."""
    store: Any = await harness.open_store()
    await begin(store, records=1)
    await store.append(addition(ORDER, 1, record=bytes(MIB)))
    await store.append(addition(ORDER, 2))
    statements: list[str] = []
    store.access.database.connection.set_trace_callback(statements.append)

    head = await read_head(store, ORDER, after=2)
    unchanged = await store.read(ORDER, known=head.token)

    assert [record.version for record in head.records] == [3]
    assert type(unchanged).__name__ == "NotModified"
    assert len([statement for statement in statements if "chain" in statement]) == 1


async def test_the_version_of_sqlite_is_known(harness: Harness) -> None:
    """`doctor` shows it: some have faults."""
    store: Any = await harness.open_store()

    assert store.sqlite_version == sqlite3.sqlite_version


async def append_all(store: Any, keys: list[Key]) -> None:
    import asyncio

    outcomes = await asyncio.gather(*(store.append(creation(key)) for key in keys))
    assert outcomes == [Committed(version=1)] * len(keys)


def files_of_payloads(folder: Path) -> list[Path]:
    return [file for file in (folder / "payloads").rglob("*") if file.is_file()]


def scope_of(key: Key) -> Any:
    from perdure.spi import PayloadScope

    return PayloadScope(key)


def count_rows(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "hub.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
