"""How a change ends that is cancelled, that fails, or that comes while another process has the lock."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, addition, begin, creation, ids_of, message, read_head

from perdure.spi import Append, Committed, Corrupt, DeadLetter, Key, Unavailable, Unknown, WorkerId
from perdure_local.sqlite import _group
from perdure_local.sqlite._errors import translate
from perdure_local.sqlite._lock import FairLock
from perdure_local.sqlite._messages import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure_conformance import Harness

    from perdure_local.sqlite._database import Database
    from perdure_local.sqlite._group import Transaction

REAL_SECONDS = 15
"""How long something that must come is waited for: only broken code takes so long."""

NO_SUCH_FILE = 99_999

ROUNDS = 4
"""One in which the caller asks, one for company, one in which it is made, and one in which the caller hears of it."""


async def open_database(harness: Harness) -> Database:
    store: Any = await harness.open_store()
    database: Database = store.access.database
    return database


def watch_statements(database: Database) -> list[str]:
    """Give the list of SQL statements that is written from now on."""
    statements: list[str] = []
    database.connection.set_trace_callback(statements.append)
    return statements


def failing(code: int) -> Callable[[Transaction], None]:
    """Make a change that SQLite fails with a code."""

    def fail(_: Transaction) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    return fail


# ── cancelled ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_that_is_cancelled_is_cancelled(harness: Harness) -> None:
    """A worker that is told to stop must stop, whether or not the change was made."""
    store = await harness.open_store()
    for rounds in range(4):
        call = asyncio.create_task(store.append(creation(Key(f"order-{rounds}"))))
        for _ in range(rounds):
            await asyncio.sleep(0)

        assert call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        assert call.cancelled(), rounds


async def test_what_nobody_waits_for_any_more_costs_no_transaction(harness: Harness) -> None:
    """Nor the lock of those who have work to do."""
    store: Any = await harness.open_store()
    statements = watch_statements(store.access.database)
    call = asyncio.create_task(store.append(creation(ORDER)))
    await asyncio.sleep(0)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await store.aclose()

    assert not any(statement.startswith("BEGIN") for statement in statements)


# ── in time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lone_change_waits_for_one_round_of_the_loop(harness: Harness) -> None:
    """For company; every further round would be lost to whoever works alone."""
    store = await harness.open_store()
    call = asyncio.create_task(store.append(creation(ORDER)))

    for _ in range(ROUNDS):
        await asyncio.sleep(0)

    assert call.done()


async def test_nothing_is_written_while_another_process_has_the_lock(harness: Harness) -> None:
    """Both would write the log from its beginning."""
    store: Any = await harness.open_store()
    statements = watch_statements(store.access.database)
    other = FairLock(harness.folder)
    assert other.try_acquire()
    call = asyncio.create_task(store.append(creation(ORDER)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert statements == []

    other.close()

    assert await asyncio.wait_for(call, REAL_SECONDS) == Committed(version=1)


async def test_a_lock_that_fails_is_told_to_all_who_wait_and_is_tried_again(harness: Harness) -> None:
    """They would wait for ever; and whoever asks later may find it mended."""
    store: Any = await harness.open_store()
    lock = store.access.database.changes._lock
    gate, lock._gate = lock._gate, NO_SUCH_FILE

    outcomes = await asyncio.wait_for(
        asyncio.gather(*(store.append(creation(Key(key))) for key in "ab"), return_exceptions=True), REAL_SECONDS
    )
    lock._gate = gate

    assert [type(outcome) for outcome in outcomes] == [OSError, OSError]
    assert await asyncio.wait_for(store.append(creation(ORDER)), REAL_SECONDS) == Committed(version=1)


async def test_a_hub_whose_lock_failed_can_be_closed(harness: Harness) -> None:
    """It must not wait for what was refused."""
    store: Any = await harness.open_store()
    lock = store.access.database.changes._lock
    gate, lock._gate = lock._gate, NO_SUCH_FILE
    with pytest.raises(OSError, match="descriptor"):
        await asyncio.wait_for(store.append(creation(ORDER)), REAL_SECONDS)
    lock._gate = gate

    await asyncio.wait_for(store.aclose(), REAL_SECONDS)


# ── failed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_before_the_commit_is_not_unknown_whatever_was_committed_before(harness: Harness) -> None:
    """Nothing of this one has happened: the caller need not find out."""
    database = await open_database(harness)
    await database.changes.run(lambda transaction: transaction.histories.append(creation(ORDER)))

    with pytest.raises(Unavailable) as caught:
        await database.changes.run(failing(sqlite3.SQLITE_IOERR))

    assert isinstance(caught.value.__cause__, sqlite3.OperationalError), "a person needs to see what it was"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite3.OperationalError("no such column: crc"), Corrupt),
        (sqlite3.OperationalError("Could not decode to UTF-8 column"), Corrupt),
        (RuntimeError("a bug"), RuntimeError),
        (sqlite3.ProgrammingError("a bug"), sqlite3.ProgrammingError),
        (OSError(-1, "something new"), OSError),
    ],
)
def test_what_is_not_in_the_table_is_damage_or_left_alone(error: Exception, kind: type[Exception]) -> None:
    """A bug of ours that looked like a busy disk would be tried again for ever."""
    assert type(translate(error)) is kind


def test_only_a_commit_that_failed_is_unknown() -> None:
    """A read that failed has changed nothing."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR

    assert [type(translate(error, committing=committing)) for committing in (False, True)] == [Unavailable, Unknown]


async def test_the_log_is_carried_over_once_per_so_many_pages(harness: Harness) -> None:
    """It costs as much as hundreds of commits."""
    store: Any = await harness.open_store()
    await begin(store)
    statements = watch_statements(store.access.database)
    store.access.database.changes._pages_in_log = _group._PAGES_TO_CHECKPOINT

    for version in (1, 2, 3):
        await store.append(addition(ORDER, version))

    assert sum("wal_checkpoint" in statement for statement in statements) == 1


# ── together ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_one_transaction_has_written_it_finds_again(harness: Harness) -> None:
    """Changes are written together at the end, but for those that a later one of the group must see."""
    queue: Any = await harness.open_queue()
    at = queue.access.moment()
    order = Order(TASKS, limit=9, lease_seconds=60, nonce=7, deliveries_max=20)

    def change(transaction: Transaction) -> list[Any]:
        messages = transaction.messages
        messages.send([message(TASKS, "one"), message(TASKS, "two")], at)
        one, two = messages.receive(order, at)
        messages.dead_letter([one], at, "damaged")
        letter = DeadLetter(one.envelope, "damaged", 1, one.receipt)
        return [
            messages.redrive([letter], at),
            messages.complete([two, two], at),
            ids_of(messages.receive(order._replace(nonce=8), at)),
            messages.end_leases_of([transaction.messages._holder]),
        ]

    assert await queue.access.database.changes.run(change) == [[True], [True, False], ["one"], True]
    (again,) = await queue.receive(TASKS, limit=9, lease_seconds=60, wait_seconds=0, worker=WorkerId("w"))
    assert (again.envelope.message_id, again.delivery_count) == ("one", 2)


async def test_steps_of_one_history_in_one_group_are_written_at_the_first_try(harness: Harness) -> None:
    """Made again one by one they would cost a sync each; and no record stays that a purge should have taken."""
    store: Any = await harness.open_store()
    await begin(store)
    statements = watch_statements(store.access.database)

    calls: list[Any] = [
        store.append(addition(ORDER, 1)),
        store.append(addition(ORDER, 2)),
        store.purge(ORDER, 3),
        store.append(creation(ORDER, "second", expected=4)),
    ]
    await asyncio.gather(*calls)

    assert "ROLLBACK" not in statements
    assert store.access.database.connection.execute("SELECT count(*) FROM log").fetchone() == (1,)


async def test_a_change_may_look_at_what_it_has_not_named(harness: Harness) -> None:
    """Naming it only makes reading it cheaper."""
    database = await open_database(harness)

    for append in (creation(ORDER), addition(ORDER, 1)):

        def change(transaction: Transaction, append: Append = append) -> object:
            return transaction.histories.append(append)

        assert isinstance(await database.changes.run(change), Committed)

    assert (await read_head(await harness.open_store(), ORDER)).version == 2
