"""Several processes use one folder."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, addition, begin, message, read_head

from perdure_local.sqlite import _lock
from perdure_local.sqlite._lock import FairLock, _try_lock

if TYPE_CHECKING:
    from perdure_conformance import Harness

PROCESSES = 4


def let_go(children: list[Any]) -> list[list[str]]:
    """Let all begin at once, and give what each has said."""
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    said = [child.communicate()[0].split() for child in children]
    assert [child.returncode for child in children] == [0] * len(children)
    return said


@pytest.mark.slow
async def test_h2_of_several_processes_one_appends_the_next_record(harness: Harness, children: Any) -> None:
    """Each version is won once, whoever asks how often."""
    last = 120
    store = await harness.open_store()
    await begin(store)

    won = let_go([children.start("append_race.py", harness.folder, name, last) for name in "abcd"])

    records = (await read_head(store, ORDER)).records
    assert [record.version for record in records] == list(range(1, last + 1))
    said = {f"{name}-{version}" for name, versions in zip("abcd", won, strict=True) for version in versions}
    assert {record.turn_id for record in records[1:]} == said
    assert sum(map(len, won)) == last - 1


@pytest.mark.slow
def test_processes_that_all_want_the_lock_take_turns(tmp_path: Path, children: Any) -> None:
    """SQLite's own lock, or flock alone, lets one process in again and again while the others starve."""
    count = 300
    let_go([children.start("take_turns.py", tmp_path, letter, count) for letter in "abcd"])

    turns = (tmp_path / "turns").read_text()

    assert sorted(turns) == sorted("abcd" * count), "two had the lock at once, and wrote to one place"
    # As long as all are there: the first ones may have begun alone, the last one ends alone.
    busy = turns[max(turns.index(letter) for letter in "abcd") : min(turns.rindex(letter) for letter in "abcd")]
    again = sum(before == after for before, after in itertools.pairwise(busy))
    assert again < len(busy) / 4, f"{again} of {len(busy)} turns were taken by whoever had the one before"


async def test_whoever_gives_the_lock_back_cannot_overtake_the_one_who_waits(tmp_path: Path) -> None:
    """However slowly the waiting one wakes: it stands in the gate."""
    mine, other, third = FairLock(tmp_path), FairLock(tmp_path), FairLock(tmp_path)
    for _ in range(20):
        assert mine.try_acquire()
        waiting = await stand_in_the_gate(other)

        mine.release()
        tries = [mine.try_acquire(), third.try_acquire()]
        await waiting
        tries += [mine.try_acquire(), third.try_acquire()]

        assert tries == [False] * 4
        other.release()
    for lock in (mine, other, third):
        lock.close()


async def stand_in_the_gate(lock: FairLock) -> asyncio.Task[None]:
    """Let a lock wait for another one, and come back when it stands in the gate."""
    waiting = asyncio.create_task(lock.wait())
    await asyncio.sleep(0)
    # A handle of its own: what is tried on the lock's would be the lock's.
    gate = os.open(f"/proc/self/fd/{lock._gate}", os.O_RDWR)
    while _try_lock(gate):
        fcntl.flock(gate, fcntl.LOCK_UN)
        await asyncio.sleep(0.001)
    os.close(gate)
    await asyncio.sleep(0.001)  # Into the room it goes next: asleep before it, it is the slowest.
    return waiting


async def test_who_gives_up_just_when_the_lock_is_granted_gives_it_back(tmp_path: Path) -> None:
    """Between the grant and the moment in which the one who waits hears of it, nobody else would."""
    mine, other = FairLock(tmp_path), FairLock(tmp_path)
    assert other.try_acquire()
    waiting: Any = await stand_in_the_gate(mine)
    granted = waiting._fut_waiter

    other.release()
    while not granted.done():
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (granted.cancelled(), waiting.cancelled()) == (False, True)
    assert other.try_acquire()
    mine.close()
    other.close()


async def test_a_lock_that_fails_while_somebody_waits_for_it_is_told(tmp_path: Path) -> None:
    """Whoever waits in a thread that has failed would wait for ever."""
    mine, other = FairLock(tmp_path), FairLock(tmp_path)
    fcntl.flock(other._gate, fcntl.LOCK_EX)
    waiting = asyncio.create_task(mine.wait())
    await asyncio.sleep(0)
    room, mine._room = mine._room, 99_999

    fcntl.flock(other._gate, fcntl.LOCK_UN)
    with pytest.raises(OSError, match="descriptor"):
        await asyncio.wait_for(waiting, 30)

    mine._room = room
    mine.close()
    other.close()


def test_a_lock_that_comes_after_its_loop_has_ended_is_given_back(tmp_path: Path) -> None:
    """Nobody is left who could."""
    mine, other = FairLock(tmp_path), FairLock(tmp_path)
    assert other.try_acquire()

    async def wait_in_vain() -> None:
        await stand_in_the_gate(mine)

    asyncio.run(wait_in_vain())
    other.release()

    asyncio.run(asyncio.wait_for(other.wait(), 30))
    mine.close()
    other.close()


async def test_a_lock_that_is_free_is_taken_without_a_thread(tmp_path: Path) -> None:
    """Most of the time nobody else wants it."""
    lock = FairLock(tmp_path)

    await lock.wait()

    assert lock._waiter is None
    lock.close()


async def test_a_lock_that_is_closed_keeps_no_file_open(tmp_path: Path) -> None:
    """With a thread that waited for it, and without."""
    before = count_open_files()
    unused, used = FairLock(tmp_path), FairLock(tmp_path)
    assert unused.try_acquire()
    waiting = await stand_in_the_gate(used)

    unused.close()
    await asyncio.wait_for(waiting, 30)
    used.close()

    assert used._waiter is not None
    used._waiter.join(30)
    assert count_open_files() == before


def count_open_files() -> int:
    gc.collect()  # What tests before this one have left must not go while it counts.
    return len(list(Path("/dev/fd").iterdir()))


def test_a_child_that_is_forked_lets_go_of_open_locks_and_of_nothing_else(tmp_path: Path) -> None:
    """What `os.register_at_fork` calls there; a lock goes with the last one who has its file open."""
    closed, held = FairLock(tmp_path), FairLock(tmp_path)
    closed.close()
    assert held.try_acquire()

    _lock._close_in_child()

    assert closed not in _lock._LOCKS
    with pytest.raises(OSError, match="descriptor"):
        held.release()
    again = FairLock(tmp_path)
    assert again.try_acquire()
    again.close()
    _lock._LOCKS.discard(held)


async def test_who_gives_up_waiting_for_the_lock_leaves_it_to_others(tmp_path: Path) -> None:
    """A cancelled wait must not end in a lock that nobody knows to hold."""
    mine, other = FairLock(tmp_path), FairLock(tmp_path)
    assert mine.try_acquire()
    waiting = await stand_in_the_gate(other)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    mine.release()

    assert waiting.cancelled()
    await asyncio.wait_for(mine.wait(), 30)
    mine.close()
    other.close()


@pytest.mark.slow
async def test_q10_a_message_wakes_a_receiver_in_another_process(harness: Harness, children: Any) -> None:
    """Not at its next look, which never comes here: by a poke."""
    queue = await harness.open_queue()
    child = children.start("wait_for.py", harness.folder, "message")
    assert child.stdout.readline() == "waiting\n"

    await queue.send([message(TASKS, "m-1")])

    assert child.communicate(timeout=60)[0] == "['m-1']\n"


@pytest.mark.slow
async def test_a_change_wakes_whoever_waits_for_it_in_another_process(harness: Harness, children: Any) -> None:
    """A client that waits for a result hears of it at once."""
    store = await harness.open_store()
    await begin(store)
    child = children.start("wait_for.py", harness.folder, "change")
    assert child.stdout.readline() == "waiting\n"

    await store.append(addition(ORDER, 1))

    assert child.communicate(timeout=60)[0] == "True\n"


@pytest.mark.slow
async def test_the_log_stays_when_another_process_closes_the_hub(harness: Harness, children: Any) -> None:
    """To open and close a database file beside SQLite drops SQLite's locks: the log would be deleted under us."""
    store, queue = await harness.open_store(), await harness.open_queue()
    await begin(store)
    log = harness.folder / "hub.db-wal"
    number = log.stat().st_ino

    assert children.start("look_once.py", harness.folder).communicate()[0] == "Head\n"

    assert log.stat().st_ino == number
    await queue.send([message(TASKS)])
    await store.append(addition(ORDER, 1))
    assert (await read_head(store, ORDER)).version == 2


async def test_a_lost_poke_costs_no_more_than_the_next_look(harness: Harness, as_another_process: Any) -> None:
    """Somebody cleans up `wake`: nobody is woken, nobody waits for ever."""
    receiver = await harness.open_queue()
    waiting = harness.begin_receive(receiver, TASKS, wait_seconds=60)
    await harness.let_time_pass(0)
    for socket in (harness.folder / "wake").iterdir():
        socket.unlink()
    as_another_process()
    sender = await harness.open_queue()

    await sender.send([message(TASKS, "m-1")])

    assert [found.envelope.message_id for found in await harness.finish(waiting)] == ["m-1"]


async def test_what_was_committed_is_no_failure_when_nobody_can_be_woken(harness: Harness) -> None:
    """Told that it failed, the caller would commit it again: a message would be sent twice."""
    backend = await harness.open_backend()
    shutil.rmtree(harness.folder / "wake")

    assert await begin(backend.store) == 1
    assert (await backend.queue.send([message(TASKS)]))[0].error is None


@pytest.mark.slow
async def test_sockets_of_dead_processes_are_removed(harness: Harness, children: Any) -> None:
    """They would be poked for ever."""
    store = await harness.open_store()
    await begin(store)
    child = children.start("wait_for.py", harness.folder, "message")
    assert child.stdout.readline() == "waiting\n"
    (socket,) = (harness.folder / "wake").iterdir()
    child.kill()
    child.communicate()
    assert socket.exists()

    await store.append(addition(ORDER, 1))

    assert not socket.exists()


@pytest.mark.slow
@pytest.mark.parametrize("folder", [f"{'long' * 40}/hub"], indirect=True, ids=["long"])
async def test_in_a_folder_with_a_long_name_others_are_woken_too(harness: Harness, children: Any) -> None:
    """The address of a socket has room for 108 bytes."""
    queue = await harness.open_queue()
    child = children.start("wait_for.py", harness.folder, "message")
    assert child.stdout.readline() == "waiting\n"

    await queue.send([message(TASKS, "m-1")])

    assert child.communicate(timeout=60)[0] == "['m-1']\n"
