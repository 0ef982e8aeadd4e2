"""A hub is opened and closed: what stays behind, who waits for whom, and what is told to those who come too late."""

from __future__ import annotations

import asyncio
import gc
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from perdure_conformance.material import ORDER, TASKS, begin, creation, message, read_head

from perdure.spi import Committed, Corrupt, Misuse, StoredPayload, Unavailable
from perdure_local.sqlite import _database
from perdure_local.sqlite._database import _configure
from perdure_local.sqlite._lock import FairLock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from perdure_conformance import Harness

    from perdure_local.sqlite._database import Database

REAL_SECONDS = 15
"""How long something that must come is waited for: only broken code takes so long."""

RECORD = b"a record that can be found in a file"


def count_open_files() -> int:
    gc.collect()  # What tests before this one have left must not go while it counts.
    return len(list(Path("/dev/fd").iterdir()))


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(REAL_SECONDS):
        while not is_so():
            await asyncio.sleep(0.001)


@pytest.fixture
def threads() -> Callable[[], set[str]]:
    """Call it for the names of the threads that this test has started."""
    before = set(threading.enumerate())
    return lambda: {thread.name.rpartition("_")[0] or thread.name for thread in {*threading.enumerate()} - before}


@pytest_asyncio.fixture
async def other(harness: Harness) -> AsyncIterator[FairLock]:
    """Give the lock of the hub, taken by another process."""
    store = await harness.open_store()
    await store.aclose()
    lock = FairLock(harness.folder)
    await lock.wait()
    yield lock
    lock.close()


@pytest.fixture
def crashed(harness: Harness, tmp_path: Path) -> Callable[[], Path]:
    """Give a copy of the hub as a crash would leave it now."""

    def copy() -> Path:
        folder = tmp_path / "crashed"
        folder.mkdir(mode=0o700)
        for file in harness.folder.glob("hub.db*"):
            shutil.copy(file, folder)
        return folder

    return copy


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hub_that_is_refused_keeps_no_file_open(harness: Harness) -> None:
    """A supervisor that tries again each second would run out of them."""
    harness.folder.mkdir(mode=0o700)
    (harness.folder / "hub.db").write_bytes(b"Dear diary, " * 1000)
    store: Any = harness.make_store()
    before = count_open_files()

    try:
        await store.open()
        pytest.fail("it was opened")
    except Corrupt:
        assert count_open_files() == before, "at once: not when the error is forgotten"
    assert list((harness.folder / "alive").iterdir()) == []

    (harness.folder / "hub.db").unlink()
    await store.open()
    await store.aclose()
    assert count_open_files() == before
    assert harness.folder not in {folder for folder, _ in _database._OPEN}


async def test_whoever_gives_up_opening_leaves_the_lock_to_others(
    harness: Harness, other: FairLock, threads: Callable[[], set[str]]
) -> None:
    """And nothing that would count as a process which died."""
    before = count_open_files()
    opening = asyncio.create_task(harness.make_store().open())
    await wait_until(lambda: "perdure-lock" in threads())

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    other.release()

    await wait_until(lambda: count_open_files() == before)
    assert list((harness.folder / "alive").iterdir()) == []
    await asyncio.wait_for(harness.open_store(), REAL_SECONDS)


async def test_a_hub_is_opened_when_no_other_process_writes(
    harness: Harness, other: FairLock, threads: Callable[[], set[str]]
) -> None:
    """Opening may repair what a crash has left, and so must not meet a write."""
    opening = asyncio.create_task(harness.open_store())
    await wait_until(lambda: "perdure-lock" in threads())
    assert not opening.done()

    other.release()

    assert await begin(await asyncio.wait_for(opening, REAL_SECONDS)) == 1


async def test_the_log_of_a_crash_is_carried_into_the_database(
    harness: Harness, crashed: Callable[[], Path], as_another_process: Callable[[], None]
) -> None:
    """Many crashes in a row must not make it longer and longer."""
    await (await harness.open_store()).append(creation(ORDER, record=RECORD))
    harness.folder = crashed()
    assert RECORD not in (harness.folder / "hub.db").read_bytes()
    as_another_process()

    store = await harness.open_store()

    assert RECORD in (harness.folder / "hub.db").read_bytes()
    assert (await read_head(store, ORDER)).version == 1


async def test_a_damaged_log_of_a_crash_is_told_each_time(
    harness: Harness, crashed: Callable[[], Path], as_another_process: Callable[[], None]
) -> None:
    """SQLite itself would go on with what is left, without a word."""
    await begin(await harness.open_store(), records=3)
    harness.folder = crashed()
    log = harness.folder / "hub.db-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    as_another_process()

    for _ in range(2):
        with pytest.raises(Corrupt, match=r"hub.db-wal is damaged: \d+ of \d+ committed frames"):
            await harness.open_store()

    assert log.read_bytes() == content


async def test_a_second_connection_of_a_process_leaves_the_index_of_the_log_alone(
    harness: Harness, as_another_process: Callable[[], None]
) -> None:
    """To look into it is to open and close it, which drops the locks of the first: counted are both."""
    connected = _database._CONNECTED
    first = await harness.open_store()
    as_another_process()
    second = await harness.open_store()
    assert connected[harness.folder] == 2

    await second.aclose()
    assert connected[harness.folder] == 1
    assert await begin(first) == 1
    await first.aclose()
    assert connected[harness.folder] == 0


async def test_a_python_with_an_old_sqlite_is_told(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a file is touched: what it does not know looks like damage."""
    monkeypatch.setattr(_database, "_SQLITE_OLDEST", (99, 1))

    with pytest.raises(Misuse, match=r"needs 99\.1 or newer"):
        await harness.open_store()

    assert (harness.folder / "hub.db").read_bytes() == b""


def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    """Without one a reader would hold up every writer."""
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(Misuse, match="local disk"):
        _configure(connection, tmp_path)


# ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hub_that_is_closed_keeps_nothing(harness: Harness, threads: Callable[[], set[str]]) -> None:
    """No file, no thread, no socket, nothing that looks like a process: also while other hubs are in use."""
    before = count_open_files()
    backend = await harness.open_backend()
    await backend.store.put_payload(StoredPayload(ORDER, "large"), b"content")
    await harness.look(backend.queue, TASKS)
    assert "perdure-files" in threads()
    database = backend.store.access.database  # type: ignore[attr-defined]

    await backend.queue.aclose()
    await backend.store.aclose()

    await wait_until(lambda: threads().isdisjoint({"perdure-files", "perdure-lock"}))
    assert count_open_files() == before, "though it is still referred to"
    assert database not in _database._OPEN.values()
    assert [*(harness.folder / "alive").iterdir(), *(harness.folder / "wake").iterdir()] == []
    assert not (harness.folder / "hub.db-wal").exists()


@pytest.mark.parametrize("what", ["receive", "changed", "ended"])
async def test_who_waits_when_the_hub_is_closed_is_told_at_once(virtual: Harness, what: str) -> None:
    """No time passes here: whoever only looked again after a while would wait for ever."""
    store, queue = await virtual.open_store(), await virtual.open_queue()
    await begin(store)
    token = (await read_head(store, ORDER)).token
    ways: dict[str, Callable[[], asyncio.Task[Any]]] = {
        "receive": lambda: virtual.begin_receive(queue, TASKS),
        "changed": lambda: virtual.begin(store.changed(ORDER, token, 3600)),
        "ended": lambda: virtual.begin(store.ended(ORDER, token, 3600)),
    }
    waiting = ways[what]()
    await virtual.let_time_pass(0)
    assert not waiting.done()

    await queue.aclose()
    await store.aclose()

    with pytest.raises((Unavailable, Misuse), match=r"closed|not open"):
        await asyncio.wait_for(waiting, REAL_SECONDS)


async def test_whatever_is_asked_of_a_closed_hub_is_unavailable(harness: Harness) -> None:
    """A task that was about to ask must not meet an error of SQLite, nor a thread that has ended."""
    store: Any = await harness.open_store()
    database: Database = store.access.database
    await store.aclose()

    def wait() -> None:
        with database.queue_change(TASKS):
            pass

    for ask in (wait, lambda: database.look(lambda _: None), lambda: database.read(lambda _: None)):
        with pytest.raises(Unavailable, match="closed"):
            ask()
    with pytest.raises(Unavailable, match="closed"):
        await database.on_thread(lambda: None)


async def test_a_hub_is_closed_when_no_other_process_writes(
    harness: Harness, as_another_process: Callable[[], None], threads: Callable[[], set[str]]
) -> None:
    """The last one carries the log over and deletes it."""
    store = await harness.open_store()
    await begin(store)
    other = FairLock(harness.folder)
    await other.wait()
    closing_it = asyncio.create_task(store.aclose())
    await wait_until(lambda: "perdure-lock" in threads())
    assert not closing_it.done()
    assert (harness.folder / "hub.db-wal").exists()

    other.close()
    await asyncio.wait_for(closing_it, REAL_SECONDS)

    as_another_process()
    assert (await read_head(await harness.open_store(), ORDER)).version == 1


async def test_a_change_that_was_just_asked_for_is_made_before_the_hub_is_closed(harness: Harness) -> None:
    """Its group was still waiting for company."""
    store = await harness.open_store()
    asked = asyncio.create_task(store.append(creation(ORDER)))
    await asyncio.sleep(0)

    await store.aclose()

    assert await asyncio.wait_for(asked, REAL_SECONDS) == Committed(version=1)


async def test_a_hub_whose_closing_was_cancelled_is_closed_all_the_same(harness: Harness) -> None:
    """Half closed, it would be carried over by nobody."""
    store = await harness.open_store()
    await begin(store)
    closing_it = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)

    closing_it.cancel()
    await asyncio.gather(closing_it, return_exceptions=True)

    await wait_until(lambda: not (harness.folder / "hub.db-wal").exists())


async def test_reads_of_one_look_see_one_moment(harness: Harness, as_another_process: Callable[[], None]) -> None:
    """What another process purges between two statements looked like damage otherwise."""
    store: Any = await harness.open_store()
    as_another_process()
    other: Any = await harness.open_store()

    def look(connection: sqlite3.Connection) -> list[int]:
        counts = [connection.execute("SELECT count(*) FROM payloads").fetchone()[0]]
        other.access.database.connection.execute("INSERT INTO payloads VALUES ('a', 'b')")
        return [*counts, connection.execute("SELECT count(*) FROM payloads").fetchone()[0]]

    assert store.access.database.read(look) == [0, 0]
    assert not store.access.database.connection.in_transaction


async def test_a_message_that_was_sent_while_a_hub_was_closed_by_one_client_is_there(harness: Harness) -> None:
    """One of two clients closes: the other goes on."""
    store, queue = await harness.open_store(), await harness.open_queue()

    await store.aclose()
    await queue.send([message(TASKS)])

    assert (await harness.receive_one(queue, TASKS)).envelope.message_id == "m-1"
    assert await (await harness.open_store()).append(creation(ORDER)) == Committed(version=1)
