"""Steps that wait together share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import (
    ORDER,
    TASKS,
    addition,
    begin,
    child,
    creation,
    ids_of,
    listed,
    message,
    read_head,
)

from perdure.spi import Claim, Committed, Conflict, Done, Key, Misuse, Step, Unavailable, Unknown, WorkerId
from perdure_local import SqliteStore
from perdure_local.sqlite import _group
from perdure_local.sqlite._lock import FairLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure_conformance import Backend, Harness

    from perdure_local.sqlite._database import Database

STEPS = 64
KEYS = [Key(f"order-{number}") for number in range(STEPS)]


def usual_step(key: Key, version: int, *held: Any) -> Step:
    """What most Steps are: a record, a task that this worker runs itself, the task before it done."""
    return Step(
        append=addition(key, version),
        send=(message(TASKS, f"{key} {version}"),),
        complete=held,
        claim=Claim(WorkerId("w"), 60, frozenset([f"{key} {version}"])),
    )


def database_of(backend: Backend) -> Database:
    assert isinstance(backend.store, SqliteStore)
    return backend.store.access.database


def watch_statements(backend: Backend) -> list[str]:
    """Give the list of SQL statements that is written from now on."""
    statements: list[str] = []
    database_of(backend).connection.set_trace_callback(statements.append)
    return statements


def bad_append(key: Key) -> Any:
    """Give an append that no check refuses and SQLite does: its turn id is no text."""
    return creation(key, turn_id="\ud800")


async def test_a_lone_step_is_one_transaction_of_few_statements(harness: Harness) -> None:
    """Each costs microseconds; and the one sync is the COMMIT's."""
    backend = await harness.open_backend()
    await begin(backend.store)
    first = await backend.committer.commit(usual_step(ORDER, 1))
    assert isinstance(first, Done)
    statements = watch_statements(backend)

    done = await backend.committer.commit(usual_step(ORDER, 2, *first.claimed))

    assert isinstance(done, Done)
    assert (done.completed, len(done.claimed)) == ((True,), 1)
    assert (statements[0], statements[-1], len(statements)) == ("BEGIN IMMEDIATE", "COMMIT", 12)


async def test_steps_that_wait_together_take_no_more_statements_than_one(harness: Harness) -> None:
    """That is what makes many cheap: they are written by the hundred."""
    backend = await harness.open_backend()
    await asyncio.gather(*(begin(backend.store, key) for key in KEYS))
    firsts = await asyncio.gather(*(backend.committer.commit(usual_step(key, 1)) for key in KEYS))
    statements = watch_statements(backend)

    done = await asyncio.gather(
        *(
            backend.committer.commit(usual_step(key, 2, *first.claimed))
            for key, first in zip(KEYS, firsts, strict=True)
            if isinstance(first, Done)
        )
    )

    assert [step.completed for step in done if isinstance(step, Done)] == [(True,)] * STEPS
    assert [statement.split()[0] for statement in statements].count("COMMIT") == 1
    assert len(statements) == 12


async def test_steps_that_come_a_round_apart_wait_for_each_other(harness: Harness) -> None:
    """Or instances that are out of step by a round of the loop would stay so, each with a sync of its own."""
    backend = await harness.open_backend()
    await asyncio.gather(*(begin(backend.store, key) for key in KEYS[:5]))
    statements = watch_statements(backend)

    async def commit_later(rounds: int, key: Key) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await backend.committer.commit(Step(append=addition(key, 1)))

    await asyncio.gather(*(commit_later(rounds, key) for rounds, key in enumerate(KEYS[:5])))

    assert statements.count("COMMIT") == 1


async def test_a_step_does_not_wait_for_those_that_keep_coming(harness: Harness) -> None:
    """A hub that is never idle must not keep anybody waiting."""
    backend = await harness.open_backend()
    await asyncio.gather(*(begin(backend.store, key) for key in KEYS))
    statements = watch_statements(backend)
    tasks: list[asyncio.Task[object]] = []

    for key in KEYS:
        tasks.append(asyncio.create_task(backend.committer.commit(Step(append=addition(key, 1)))))
        await asyncio.sleep(0)

    assert tasks[0].done()
    assert 1 < statements.count("COMMIT") < len(KEYS) / 4
    await asyncio.gather(*tasks)


async def test_receiving_and_renewing_wait_for_no_disk_and_everything_else_does(harness: Harness) -> None:
    """A power cut may undo a lease: then nobody has the message, as if nobody had asked. Nothing else may be undone."""
    backend = await harness.open_backend()
    await begin(backend.store)
    await backend.queue.send([message(TASKS, "a"), message(TASKS, "b")])
    statements = watch_statements(backend)
    synced = {"FULL": True, "NORMAL": False}

    def is_synced() -> bool:
        """Tell whether the last COMMIT was, by what was in force then."""
        before = statements[: len(statements) - statements[::-1].index("COMMIT")]
        modes = [each.rpartition(" ")[2] for each in before if each.startswith("PRAGMA synchronous")]
        return synced[modes[-1]] if modes else True

    held = await backend.queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=0, worker=WorkerId("w"))
    assert not is_synced()
    assert database_of(backend).connection.execute("PRAGMA synchronous").fetchone() == (2,), "for what else is written"
    assert await backend.queue.renew(held, 60) == [True]
    assert not is_synced()
    await backend.queue.send([message(TASKS, "c")])
    assert is_synced()
    await backend.queue.complete(held)
    assert is_synced()
    await asyncio.gather(
        backend.queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=0, worker=WorkerId("w")),
        backend.store.append(addition(ORDER, 1)),
    )
    assert is_synced()


async def test_c4_a_conflict_in_a_group_is_the_answer_of_that_step_alone(harness: Harness) -> None:
    """And of that Step nothing is done."""
    backend = await harness.open_backend()
    await asyncio.gather(*(begin(backend.store, key) for key in KEYS[:3]))
    steps = [Step(append=addition(key, 1), send=(message(TASKS, key),)) for key in KEYS[:3]]
    steps[1] = Step(append=addition(KEYS[1], 7), create=(child("child"),), send=(message(TASKS, KEYS[1]),))

    outcomes = await asyncio.gather(*(backend.committer.commit(step) for step in steps))

    assert outcomes == [Done(version=2), Conflict(version=1), Done(version=2)]
    assert sorted(ids_of(await harness.look(backend.queue, TASKS))) == [KEYS[0], KEYS[2]]
    assert await listed(backend.store) == sorted(KEYS[:3])


async def test_c4_a_step_that_sqlite_refuses_fails_alone(harness: Harness) -> None:
    """The group is made again in halves, down to the one that cannot be made."""
    store = await harness.open_store()
    appends = [creation(key) for key in KEYS]
    appends[13] = bad_append(KEYS[13])

    outcomes = await asyncio.gather(*map(store.append, appends), return_exceptions=True)

    assert isinstance(outcomes.pop(13), Misuse)
    assert outcomes == [Committed(version=1)] * (STEPS - 1)
    assert await listed(store) == sorted(set(KEYS) - {KEYS[13]})


async def test_c4_a_step_that_fails_half_way_leaves_nothing_to_its_neighbours(harness: Harness) -> None:
    """What it had decided before the fault must not be written with their transaction."""
    backend = await harness.open_backend()
    bad = Step(create=(child("child"),), append=bad_append(ORDER), send=(message(TASKS, "bad"),))

    outcomes = await asyncio.gather(
        backend.committer.commit(Step(send=(message(TASKS, "good"),))),
        backend.committer.commit(bad),
        return_exceptions=True,
    )

    assert outcomes[0] == Done(version=0)
    assert isinstance(outcomes[1], Misuse)
    assert ids_of(await harness.look(backend.queue, TASKS)) == ["good"]
    assert await listed(backend.store) == []


async def test_a_huge_step_does_not_ride_with_small_ones(harness: Harness) -> None:
    """They would wait for its bytes."""
    backend = await harness.open_backend()
    huge = creation(ORDER, record=bytes(_group._BYTES_MAX))
    statements = watch_statements(backend)

    outcomes = await asyncio.gather(*map(backend.store.append, [creation(KEYS[0]), huge, creation(KEYS[1])]))

    assert outcomes == [Committed(version=1)] * 3
    assert statements.count("COMMIT") == 3


async def test_steps_of_one_history_in_one_group_see_each_other(harness: Harness) -> None:
    """The second of them expects what the first one makes; a third that expects the same is too late."""
    store = await harness.open_store()
    await begin(store)

    calls: list[Any] = [
        store.append(addition(ORDER, 1)),
        store.append(addition(ORDER, 2)),
        store.append(addition(ORDER, 2, turn_id="late")),
        store.append(addition(ORDER, 1)),
        store.purge(ORDER, 3),
        store.append(creation(ORDER, "second", expected=4)),
    ]
    outcomes = await asyncio.gather(*calls)

    assert outcomes[:4] == [Committed(version=2), Committed(version=3), Conflict(version=3), Committed(version=2)]
    assert [record.version for record in (await read_head(store, ORDER)).records] == [5]


async def test_a_cancelled_append_happens_as_a_whole_or_not_at_all_and_no_neighbour_is_lost(harness: Harness) -> None:
    """Whenever the caller gives up."""
    store = await harness.open_store()
    for rounds in range(5):
        keys = [Key(f"{rounds} {who}") for who in ("cancelled", "neighbour")]
        calls = [asyncio.create_task(store.append(creation(key))) for key in keys]
        for _ in range(rounds):
            await asyncio.sleep(0)

        calls[0].cancel()
        await asyncio.gather(*calls, return_exceptions=True)

        assert calls[1].result() == Committed(version=1)
        assert await store.append(creation(keys[0])) == Committed(version=1)
        assert len((await read_head(store, keys[0])).records) == 1


async def test_q1_a_receive_that_is_cancelled_holds_nothing(harness: Harness) -> None:
    """The message would be hidden from everybody for the whole lease."""
    queue = await harness.open_queue()
    await queue.send([message(TASKS, "m-1")])
    for rounds in range(6):
        call = asyncio.create_task(
            queue.receive(TASKS, limit=1, lease_seconds=3600, wait_seconds=60, worker=WorkerId("gone"))
        )
        for _ in range(rounds):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await queue.abandon([] if call.cancelled() else call.result())

        again = await harness.receive_one(queue, TASKS, lease_seconds=3600)
        await queue.abandon([again])


async def test_what_a_cancelled_step_has_claimed_is_given_back(harness: Harness) -> None:
    """Nobody knows the receipts."""
    backend = await harness.open_backend()
    for rounds in range(5):
        key = Key(f"order-{rounds}")
        await begin(backend.store, key)
        call = asyncio.create_task(backend.committer.commit(usual_step(key, 1)))
        for _ in range(rounds):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        if not call.cancelled():
            continue

        happened = (await read_head(backend.store, key)).version == 2

        assert ids_of(await harness.look(backend.queue, TASKS)) == ([f"{key} 1"] if happened else [])


class Broken:
    """A connection whose next COMMIT fails as on a broken disk, before or after it has happened."""

    def __init__(self, connection: sqlite3.Connection, code: int, *, after: bool) -> None:
        self._connection = connection
        self._code = code
        self._after = after
        self.in_transaction = True

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement != "COMMIT" or not self._code:
            return self._connection.execute(statement, *parameters)
        if self._after:
            self._connection.execute(statement)
            self.in_transaction = False
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, self._code = self._code, 0
        raise error


@pytest.fixture
def break_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the next COMMIT of a backend fail."""

    def break_it(backend: Backend, code: int, *, after: bool) -> None:
        changes = database_of(backend).changes
        monkeypatch.setattr(changes, "_connection", Broken(changes._connection, code, after=after))

    return break_it


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_h4_a_commit_that_the_disk_has_failed_is_unknown_and_found_again(
    harness: Harness, break_commit: Callable[..., None], *, after: bool
) -> None:
    """The mark of the commit may be on the disk: the identical append finds out."""
    backend = await harness.open_backend()
    await begin(backend.store)
    break_commit(backend, sqlite3.SQLITE_IOERR, after=after)

    with pytest.raises(Unknown):
        await backend.store.append(addition(ORDER, 1))

    assert await backend.store.append(addition(ORDER, 1)) == Committed(version=2)
    assert len((await read_head(backend.store, ORDER)).records) == 2


async def test_a_full_disk_is_unavailable_and_nothing_has_happened(
    harness: Harness, break_commit: Callable[..., None]
) -> None:
    """The same call again, later."""
    backend = await harness.open_backend()
    break_commit(backend, sqlite3.SQLITE_FULL, after=False)

    with pytest.raises(Unavailable, match="free some space"):
        await backend.store.append(creation(ORDER))

    assert await listed(backend.store) == []
    assert await backend.store.append(creation(ORDER)) == Committed(version=1)


async def test_another_program_that_has_the_database_makes_it_unavailable_for_all_who_wait(harness: Harness) -> None:
    """One wait for all of them, not one each; and SQLite's own error does not come through."""
    backend = await harness.open_backend()
    store, statements = backend.store, watch_statements(backend)
    other = sqlite3.connect(harness.folder / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    outcomes = await asyncio.gather(*(store.append(creation(key)) for key in KEYS), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert statements.count("BEGIN IMMEDIATE") == 1
    other.execute("ROLLBACK")
    other.close()
    assert await store.append(creation(ORDER)) == Committed(version=1)


async def test_changes_that_wait_are_made_before_the_hub_is_closed(harness: Harness) -> None:
    """Also if they wait for another process; and those that come later are refused, not forgotten."""
    backend = await harness.open_backend()
    store, database = backend.store, database_of(backend)
    await backend.queue.aclose()
    other = FairLock(harness.folder)
    await other.wait()
    call = asyncio.create_task(store.append(creation(ORDER)))
    await harness.let_time_pass(0.01)
    closing = asyncio.create_task(store.aclose())
    await harness.let_time_pass(0.01)
    assert not closing.done()

    other.close()
    await closing

    assert await call == Committed(version=1)
    with pytest.raises(Unavailable):
        await database.changes.run(lambda transaction: transaction.histories.append(creation(KEYS[0])))
    with pytest.raises(Misuse, match="open"):
        await store.append(creation(KEYS[0]))


async def test_looking_for_messages_where_there_are_none_writes_nothing(harness: Harness) -> None:
    """An idle worker must not take the lock from those who work."""
    backend = await harness.open_backend()
    statements = watch_statements(backend)

    assert await harness.look(backend.queue, TASKS) == []

    assert statements
    assert not any(statement.startswith(("BEGIN", "INSERT", "DELETE", "UPDATE")) for statement in statements)
