"""What a process held that died is free at once: nobody waits for its leases to end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure_conformance.material import TASKS, message

from perdure.spi import WorkerId
from perdure_local.sqlite import _alive, _database
from perdure_local.sqlite._alive import Alive

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from perdure_conformance import Harness

    from perdure.spi import Delivery

LEASE_SECONDS = 3600
WORKER = WorkerId("taker")


async def take(harness: Harness, *, wait_seconds: float) -> list[Delivery]:
    queue = await harness.open_queue()
    return await queue.receive(TASKS, limit=9, lease_seconds=60, wait_seconds=wait_seconds, worker=WORKER)


async def test_what_a_killed_process_held_is_delivered_again_at_once(harness: Harness, children: Any) -> None:
    await (await harness.open_queue()).send([message(TASKS, "held")])
    child = children.start("hold_message.py", harness.folder, LEASE_SECONDS)
    assert child.stdout.readline() == "held\n"
    child.kill()
    child.wait()

    found = await take(harness, wait_seconds=LEASE_SECONDS / 2)

    assert [(one.envelope.message_id, one.delivery_count) for one in found] == [("held", 2)]
    assert [file.name for file in (harness.folder / "alive").iterdir() if file.name == f"{child.pid:x}"] == []
    assert len(list((harness.folder / "alive").iterdir())) == 1  # our own


async def test_a_process_that_waits_already_notices_the_death(
    harness: Harness, children: Any, as_another_process: Callable[[], None]
) -> None:
    await (await harness.open_queue()).send([message(TASKS, "held")])
    child = children.start("hold_message.py", harness.folder, LEASE_SECONDS)
    assert child.stdout.readline() == "held\n"
    as_another_process()
    waiting = harness.begin(take(harness, wait_seconds=LEASE_SECONDS / 2))
    await harness.let_time_pass(0.05)
    assert not waiting.done()

    child.kill()

    assert len(await harness.finish(waiting)) == 1


async def test_a_process_that_was_stopped_keeps_what_it_holds(harness: Harness, children: Any) -> None:
    """It may go on any moment; only its lease tells when it must not."""
    await (await harness.open_queue()).send([message(TASKS, "held")])
    child = children.start("hold_message.py", harness.folder, LEASE_SECONDS)
    assert child.stdout.readline() == "held\n"
    os.kill(child.pid, signal.SIGSTOP)

    found = await take(harness, wait_seconds=0)

    os.kill(child.pid, signal.SIGCONT)
    assert found == []


async def test_a_forked_child_does_not_keep_its_parent_alive(harness: Harness, children: Any) -> None:
    await (await harness.open_queue()).send([message(TASKS, "held")])
    parent = children.start("hold_message.py", harness.folder, LEASE_SECONDS, "fork")
    forked = int(parent.stdout.readline())
    assert parent.stdout.readline() == "held\n"
    try:
        parent.kill()
        parent.wait()
        assert len(await take(harness, wait_seconds=LEASE_SECONDS / 2)) == 1
    finally:
        os.kill(forked, signal.SIGKILL)


async def test_a_hub_that_was_closed_in_good_order_is_not_taken_for_dead(
    harness: Harness, as_another_process: Callable[[], None]
) -> None:
    """Whoever closes it may still work on what it holds: only the lease ends that."""
    queue = await harness.open_queue()
    await queue.send([message(TASKS, "held")])
    assert len(await queue.receive(TASKS, limit=1, lease_seconds=LEASE_SECONDS, wait_seconds=0, worker=WORKER)) == 1
    await queue.aclose()
    as_another_process()

    assert await take(harness, wait_seconds=0) == []


async def test_what_is_no_file_of_ours_is_left_alone(harness: Harness) -> None:
    """Somebody's note in the folder must not stop a worker."""
    queue = await harness.open_queue()
    for name in ("README", "zz", "ff.bak"):
        (harness.folder / "alive" / name).touch()
    await queue.send([message(TASKS, "a")])

    assert len(await take(harness, wait_seconds=0)) == 1
    assert {"README", "zz", "ff.bak"} < {file.name for file in (harness.folder / "alive").iterdir()}


async def test_the_folder_is_listed_once_a_second(harness: Harness) -> None:
    """Each receive asks for the dead; most of the time there are none."""
    database = (await harness.open_queue()).access.database  # type: ignore[attr-defined]
    assert not await database.bury_the_dead(1000.0)
    died = harness.folder / "alive" / "ff"
    died.touch()

    await database.bury_the_dead(1000.9)
    assert died.exists()
    await database.bury_the_dead(1001.1)
    assert not died.exists()


async def test_what_was_not_held_by_the_dead_is_no_news(harness: Harness) -> None:
    """Whoever receives would look at every lease again for nothing."""
    database = (await harness.open_queue()).access.database  # type: ignore[attr-defined]
    (harness.folder / "alive" / "ff").touch()

    assert await database.bury_the_dead(1000.0) is False


def test_where_there_is_no_folder_any_more_nobody_has_died(tmp_path: Path) -> None:
    """Somebody deletes the hub while we look."""
    assert Alive(tmp_path / "gone", 1).find_dead() == []


def test_a_file_that_goes_while_it_is_looked_at_is_nobodys(tmp_path: Path) -> None:
    """Another one buries at the same time."""
    (tmp_path / "ab").symlink_to(tmp_path / "gone")

    assert Alive(tmp_path, 1).find_dead() == []


def test_looking_for_the_dead_keeps_no_file_open(tmp_path: Path) -> None:
    """It is done every second."""
    living, looker = Alive(tmp_path, 1), Alive(tmp_path, 2)
    living.begin()
    (tmp_path / "ff").touch()
    before = len(list(Path("/dev/fd").iterdir()))

    assert looker.find_dead() == [0xFF]

    assert len(list(Path("/dev/fd").iterdir())) == before
    living.close()


def test_closing_twice_closes_no_file_of_somebody_else(tmp_path: Path) -> None:
    """The number of a closed file is soon that of another."""
    alive = Alive(tmp_path, 1)
    alive.begin()
    alive.close()

    with (tmp_path / "other").open("w") as other:
        alive.close()

        other.write("written")
    assert (tmp_path / "other").read_text() == "written"
    assert not (tmp_path / "1").exists()


def test_a_child_that_is_forked_lets_go_of_what_is_open_and_of_nothing_else(tmp_path: Path) -> None:
    """What `os.register_at_fork` calls there; the lock goes with the last one who has the file open."""
    closed, alive = Alive(tmp_path, 1), Alive(tmp_path, 2)
    for each in (closed, alive):
        each.begin()
    closed.close()

    _alive._close_in_child()

    assert Alive(tmp_path, 3).find_dead() == [2]
    assert closed not in _alive._OPEN


async def test_two_who_look_at_once_both_see_the_dead(
    harness: Harness, children: Any, as_another_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await harness.open_queue()).send([message(TASKS, "held")])
    child = children.start("hold_message.py", harness.folder, LEASE_SECONDS)
    assert child.stdout.readline() == "held\n"
    child.kill()
    child.wait()
    monkeypatch.setattr(_database, "_DEAD_LOOK_SECONDS", 0)
    first = (await harness.open_queue()).access.database  # type: ignore[attr-defined]
    as_another_process()
    second = (await harness.open_queue()).access.database  # type: ignore[attr-defined]

    assert first._alive.find_dead() == second._alive.find_dead() != []
    assert await first.bury_the_dead(1e12)
    assert not await second.bury_the_dead(1e12)
