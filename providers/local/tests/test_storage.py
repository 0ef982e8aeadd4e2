"""What lies in the database: damage is found, the log stays small, a scan holds nobody up."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from perdure_conformance.material import ORDER, addition, begin, creation, listed, read_head

from perdure.spi import Committed, Corrupt, Key, Misuse, PayloadScope, Query, StoredPayload
from perdure_local.sqlite import _store
from perdure_local.sqlite._limits import STORE
from perdure_local.sqlite._payloads import PayloadFiles

if TYPE_CHECKING:
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
        "UPDATE instances SET summary = x''",
        "UPDATE instances SET summary = x'00000000'",
        "UPDATE instances SET summary = x'90'",
        "UPDATE instances SET summary = CAST(x'00000000' || substr(summary, 5) AS BLOB)",
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


async def test_h5_the_row_of_another_instance_is_not_taken_for_ones_own(harness: Harness) -> None:
    """Two pages that were mixed up: each is whole."""
    store = await harness.open_store()
    for key in (ORDER, Key("other")):
        await begin(store, key)
    with closing(sqlite3.connect(harness.folder / "hub.db")) as database, database:
        database.execute("UPDATE instances SET summary = (SELECT summary FROM instances WHERE key = 'other')")

    with pytest.raises(Corrupt, match="its summary is that of 'other'"):
        await store.read(ORDER)


async def test_h5_a_number_that_is_none_is_told(harness: Harness) -> None:
    """No statement can store one, but a disk can."""
    store = await harness.open_store()
    await begin(store)
    await store.aclose()
    for statements in (
        ("PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = replace(sql, 'STRICT', '')"),
        ("UPDATE instances SET version = 'one'",),
        ("PRAGMA writable_schema = ON", "UPDATE sqlite_schema SET sql = sql || 'STRICT' WHERE name = 'instances'"),
    ):
        with closing(sqlite3.connect(harness.folder / "hub.db")) as database, database:
            for statement in statements:
                database.execute(statement)

    with pytest.raises(Corrupt, match="its row in `instances` is damaged"):
        await (await harness.open_store()).read(ORDER)


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
    assert [payload.name async for payload in store.payloads(PayloadScope(ORDER))] == ["large"]


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


@pytest.mark.parametrize(("count", "record_bytes"), [(4000, 100), (400, 100_000), (3, 20 * MIB)])
async def test_the_write_ahead_log_stays_small(harness: Harness, count: int, record_bytes: int) -> None:
    """It is carried into the database by size; else it would grow until the last process ends."""
    store = await harness.open_store()
    log, sizes = harness.folder / "hub.db-wal", []
    for number in range(count):
        await store.append(creation(Key(f"order-{number}"), record=bytes(record_bytes)))
        sizes.append(log.stat().st_size)

    assert max(sizes) < 16 * MIB + 1.1 * record_bytes
    assert max(sizes) < 1.1 * max(sizes[: count // 2]), "it still grows"


async def test_h8_a_scan_reads_pages_and_holds_no_transaction_between_them(harness: Harness) -> None:
    """An open read would keep every checkpoint from restarting the log."""
    store: Any = await harness.open_store()
    keys = [Key(f"order-{number:05}") for number in range(2 * _store._PAGE_ROWS + 1)]
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


async def test_h8_a_scan_looks_at_no_page_after_its_prefix(harness: Harness) -> None:
    """Whoever asks for one tenant's instances must not wait for those of all others."""
    store: Any = await harness.open_store()
    keys = [Key(f"{prefix}-{number:05}") for prefix in ("a", "b") for number in range(_store._PAGE_ROWS)]
    await append_all(store, keys)
    statements: list[str] = []
    store.access.database.connection.set_trace_callback(statements.append)

    assert len(await listed(store, Query(id_prefix="a"))) == _store._PAGE_ROWS
    assert len(statements) == 2


async def test_h8_a_scan_lets_others_work_between_its_pages(harness: Harness) -> None:
    """Or a worker that lists a large hub would lose its leases."""
    store: Any = await harness.open_store()
    await append_all(store, [Key(f"order-{number:05}") for number in range(2 * _store._PAGE_ROWS)])
    others: list[str] = []
    worked = asyncio.get_running_loop().call_soon(others.append, "worked")

    async for _ in store.scan(Query()):
        if others:
            break

    assert others == ["worked"]
    worked.cancel()


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


async def test_h1_a_commit_is_synced_and_only_we_checkpoint(harness: Harness, as_another_process: Any) -> None:
    """What SQLite calls FULL (2): the log is on the disk when COMMIT returns. Also for who opens it as the second."""
    for _ in range(2):
        store: Any = await harness.open_store()
        connection = store.access.database.connection
        settings = ("journal_mode", "synchronous", "wal_autocheckpoint", "mmap_size")

        values = [connection.execute(f"PRAGMA {setting}").fetchone()[0] for setting in settings]

        assert values == ["wal", 2, 0, 0]
        as_another_process()


@pytest.mark.slow
async def test_h10_a_payload_at_the_limit_is_kept_and_one_past_it_is_refused(harness: Harness) -> None:
    """The suite tries no limits that are so large."""
    store = await harness.open_store()
    most = store.capabilities.payload_bytes_max
    with pytest.raises(Misuse, match=f"payload_bytes_max={most}"):
        await store.put_payload(StoredPayload(ORDER, "larger"), bytes(most + 1))

    await store.put_payload(StoredPayload(ORDER, "largest"), b"\1" * most)

    assert await store.get_payload(StoredPayload(ORDER, "largest")) == b"\1" * most
    assert [payload.name async for payload in store.payloads(PayloadScope(ORDER))] == ["largest"]


async def test_h10_a_payload_past_the_limit_is_refused_before_it_has_a_name(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in small, for every run."""
    monkeypatch.setattr(_store, "STORE", msgspec.structs.replace(STORE, payload_bytes_max=10))
    store = await harness.open_store()

    with pytest.raises(Misuse, match="payload_bytes_max=10"):
        await store.put_payload(StoredPayload(ORDER, "larger"), bytes(11))

    assert [payload async for payload in store.payloads(PayloadScope(ORDER))] == []


def test_a_payload_that_cannot_be_written_leaves_no_part_of_it(tmp_path: Path) -> None:
    """Each further try would fill the disk more."""
    with pytest.raises(TypeError):
        PayloadFiles(tmp_path).write(StoredPayload(ORDER, "large"), "no bytes", "salt")  # type: ignore[arg-type]

    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


async def test_storing_payloads_keeps_no_file_open(harness: Harness) -> None:
    """A hub has thousands."""
    store = await harness.open_store()
    await store.put_payload(StoredPayload(ORDER, "first"), b"content")
    before = count_open_files()

    for name in "abc":
        await store.put_payload(StoredPayload(ORDER, name), b"content")

    assert count_open_files() == before


async def test_an_append_that_nothing_can_come_of_is_refused(harness: Harness) -> None:
    """A mistake of the caller is told where it is made."""
    store = await harness.open_store()

    with pytest.raises(Misuse, match="set create=True"):
        await store.append(msgspec.structs.replace(creation(ORDER), create=False))
    with pytest.raises(Misuse, match="another instance, 'other'"):
        await store.append(msgspec.structs.replace(creation(ORDER), summary=creation(Key("other")).summary))


async def test_the_version_of_sqlite_is_known(harness: Harness) -> None:
    """`doctor` shows it: some have faults."""
    store: Any = await harness.open_store()

    assert store.sqlite_version == sqlite3.sqlite_version


async def append_all(store: Any, keys: list[Key]) -> None:
    outcomes = await asyncio.gather(*(store.append(creation(key)) for key in keys))
    assert outcomes == [Committed(version=1)] * len(keys)


def count_open_files() -> int:
    gc.collect()  # What tests before this one have left must not go while it counts.
    return len(list(Path("/dev/fd").iterdir()))


def files_of_payloads(folder: Path) -> list[Path]:
    return [file for file in (folder / "payloads").rglob("*") if file.is_file()]


def count_rows(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "hub.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
