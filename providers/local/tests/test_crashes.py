"""A process dies; what it has committed is there, as a whole, and nothing else."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, begin, listed, message, read_head

from perdure.spi import Head

if TYPE_CHECKING:
    from pathlib import Path

    from perdure_conformance import Harness

STATEMENTS_OF_THE_STEP = 24
"""More than it has: the last deaths come too late."""


def what_is_stored(folder: Path) -> dict[str, Any]:
    """Read the tables as they are."""
    with closing(sqlite3.connect(folder / "hub.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        places = {
            place: [row[0] for row in database.execute(f"SELECT message_id FROM {place} JOIN messages USING (id)")]
            for place in ("ready", "leases")
        }
        versions = dict(database.execute("SELECT key, version FROM instances"))
        records = database.execute("SELECT count(*) FROM log").fetchone()[0]
        messages = sorted(row[0] for row in database.execute("SELECT message_id FROM messages"))
    return {"versions": versions, "records": records, "messages": messages, **places}


BEFORE = {
    "versions": {ORDER: 1},
    "records": 1,
    "messages": ["input"],
    "ready": [],
    "leases": ["input"],
}
AFTER = {
    "versions": {ORDER: 2, "child": 1},
    "records": 3,
    "messages": ["claimed", "output", "wake child for parent"],
    "ready": ["output", "wake child for parent"],
    "leases": ["claimed"],
}


@pytest.mark.slow
def test_c3_a_step_whose_process_is_killed_at_any_statement_happened_as_a_whole_or_not_at_all(
    tmp_path: Path, children: Any
) -> None:
    """There is no moment at which the record is there and its messages are not."""
    ends = []
    said = children.start("die_in_commit.py", tmp_path, STATEMENTS_OF_THE_STEP).communicate()[0]
    for fatal, end in enumerate(said.split(), start=1):
        stored = what_is_stored(tmp_path / f"hub-{fatal}")
        stored["ready"].sort()
        assert stored in (BEFORE, AFTER)
        ends.append((stored == AFTER, {"-9": False, "0": True}[end]))

    assert len(ends) == STATEMENTS_OF_THE_STEP
    assert ends[0] == (False, False), "the first death comes before anything is written"
    assert ends[-1] == (True, True), "the last death never comes"
    assert ends == sorted(ends), "once a death is too late to prevent the Step, all later ones are"


@pytest.mark.slow
async def test_h1_what_was_answered_is_there_after_the_process_was_killed(harness: Harness, children: Any) -> None:
    """The record is on the disk, not in the memory of the one who wrote it."""
    child = children.start("append_until_killed.py", harness.folder)
    answered = [int(child.stdout.readline()) for _ in range(200)]
    os.kill(child.pid, signal.SIGKILL)
    answered += [int(line) for line in child.stdout.read().split()]

    head = await read_head(await harness.open_store(), ORDER)

    assert [record.version for record in head.records] == list(range(1, head.version + 1))
    assert head.version in {answered[-1], answered[-1] + 1}


@pytest.mark.slow
async def test_a_process_that_is_killed_while_it_has_the_lock_blocks_nobody(harness: Harness, children: Any) -> None:
    """The kernel gives its lock back; a lock file with a name in it would stay."""
    store = await harness.open_store()
    child = children.start("hold_lock.py", harness.folder)
    assert child.stdout.readline() == "locked\n"
    writing = harness.begin(begin(store))
    await harness.let_time_pass(0.05)
    assert not writing.done()

    os.kill(child.pid, signal.SIGKILL)

    assert await harness.finish(writing) == 1


@pytest.mark.slow
async def test_a_child_that_was_forked_does_not_keep_the_lock_of_its_dead_parent(
    harness: Harness, children: Any
) -> None:
    """A worker that forks processes for its activities and is killed would block the hub for as long as they live."""
    store = await harness.open_store()
    parent = children.start("hold_lock.py", harness.folder, "fork")
    assert parent.stdout.readline() == "locked\n"
    forked = int(parent.stdout.readline())

    try:
        os.kill(parent.pid, signal.SIGKILL)

        assert await harness.finish(begin(store)) == 1
        os.kill(forked, 0)
    finally:
        os.kill(forked, signal.SIGKILL)


async def test_a_hub_that_is_opened_again_has_everything(harness: Harness) -> None:
    """Also what lies in the log, and what was carried into the database at the close."""
    store, queue = await harness.open_store(), await harness.open_queue()
    await begin(store, records=3)
    await queue.send([message(TASKS, "m-1")])
    await queue.aclose()
    await store.aclose()

    again, queue = await harness.open_store(), await harness.open_queue()

    head = await again.read(ORDER)
    assert isinstance(head, Head)
    assert [record.version for record in head.records] == [1, 2, 3]
    assert await listed(again) == [ORDER]
    assert (await harness.receive_one(queue, TASKS)).envelope.message_id == "m-1"
