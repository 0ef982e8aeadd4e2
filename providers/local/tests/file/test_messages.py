"""What the queue's files are good for beyond the promises of a WorkQueue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from perdure_conformance.material import TASKS, ids_of, message

import perdure_local
from perdure.spi import Corrupt, Delivery, Environment, Location, Misuse, SystemClock, SystemEntropy, WorkerId
from perdure_local import FileQueue, FileStore

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = Environment(SystemClock(), SystemEntropy())


class ShiftedClock(SystemClock):
    """Somebody sets the wall clock."""

    shift_seconds = 0.0

    def now(self) -> float:
        return super().now() + self.shift_seconds


async def open_queue(path: Path, environment: Environment = ENVIRONMENT) -> FileQueue:
    queue = FileQueue(Location(f"file:{path}", "file", str(path), {}), environment)
    await queue.open()
    return queue


async def look(queue: FileQueue) -> list[Delivery]:
    return await queue.receive(TASKS, limit=10, lease_seconds=3600, wait_seconds=0, worker=WorkerId("worker"))


async def test_leases_from_before_a_reboot_are_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock starts anew: an hour by the old one may be a year by the new one."""
    queue = await open_queue(tmp_path)
    await queue.send([message(TASKS)])
    held = await look(queue)
    assert len(held) == 1
    await queue.aclose()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another1-boot\n")
    monkeypatch.setattr("perdure_local.file._queue._BOOT", boot_id)

    rebooted = await open_queue(tmp_path)

    assert await rebooted.complete(held) == [False]
    assert [(found.envelope.message_id, found.delivery_count) for found in await look(rebooted)] == [("m-1", 2)]
    await rebooted.aclose()


async def test_a_damaged_message_is_moved_aside_and_the_others_are_received(tmp_path: Path) -> None:
    """Left where it is, it would stop the queue for good."""
    queue = await open_queue(tmp_path)
    await queue.send([message(TASKS, "m-1"), message(TASKS, "m-2")])
    first = min((tmp_path / "queues" / "tasks_3amail" / "waiting").iterdir())
    first.write_bytes(first.read_bytes()[:-1])

    with pytest.raises(Corrupt, match="damaged"):
        await look(queue)

    assert ids_of(await look(queue)) == ["m-2"]
    assert [path.name for path in (tmp_path / "queues" / "tasks_3amail" / "damaged").iterdir()] == [first.name]
    await queue.aclose()


async def test_what_people_put_into_the_folders_is_left_alone(tmp_path: Path) -> None:
    queue = await open_queue(tmp_path)
    await queue.send([message(TASKS)])
    note = tmp_path / "queues" / "tasks_3amail" / "waiting" / "README.txt"
    note.write_text("Do not touch.")

    assert ids_of(await look(queue)) == ["m-1"]
    assert note.read_text() == "Do not touch."
    await queue.aclose()


async def test_a_clock_set_back_hides_no_message_that_was_given_no_delay(tmp_path: Path) -> None:
    """Sent, given back, redriven: the time is only the place among the others (R14, Q10)."""
    clock = ShiftedClock()
    queue = await open_queue(tmp_path, Environment(clock, SystemEntropy()))
    await queue.send([message(TASKS)])
    clock.shift_seconds -= 3600
    found = await look(queue)
    assert ids_of(found) == ["m-1"]

    await queue.abandon(found)
    clock.shift_seconds -= 3600
    found = await look(queue)
    assert ids_of(found) == ["m-1"]

    await queue.dead_letter(found, "bad")
    assert await queue.redrive(await queue.peek_dead_letters(TASKS, limit=10)) == [True]
    clock.shift_seconds -= 3600
    assert ids_of(await look(queue)) == ["m-1"]
    await queue.aclose()


async def test_a_message_with_a_delay_waits_for_its_time_and_hides_none_behind_it(tmp_path: Path) -> None:
    clock = ShiftedClock()
    queue = await open_queue(tmp_path, Environment(clock, SystemEntropy()))
    await queue.send([message(TASKS, "m-1", not_before=clock.now() + 600)])
    clock.shift_seconds = 3600
    await queue.send([message(TASKS, "m-2")])
    clock.shift_seconds = 0

    assert ids_of(await look(queue)) == ["m-2"]
    clock.shift_seconds = 601
    assert ids_of(await look(queue)) == ["m-1"]
    await queue.aclose()


async def test_a_dead_letter_whose_reason_was_lost_is_listed(tmp_path: Path) -> None:
    queue = await open_queue(tmp_path)
    await queue.send([message(TASKS)])
    await queue.dead_letter(await look(queue), "bad")
    for path in (tmp_path / "queues" / "tasks_3amail" / "reasons").iterdir():
        path.unlink()

    (letter,) = await queue.peek_dead_letters(TASKS, limit=10)

    assert (letter.envelope.message_id, letter.reason) == ("m-1", "Why it was put aside is not known any more.")
    await queue.aclose()


@pytest.mark.parametrize("not_before", [math.inf, -math.inf, math.nan])
async def test_a_message_that_could_not_be_read_again_is_not_sent(tmp_path: Path, not_before: float) -> None:
    queue = await open_queue(tmp_path)

    with pytest.raises(Misuse, match="not_before"):
        await queue.send([message(TASKS, not_before=not_before)])
    with pytest.raises(Misuse, match="surrogate"):
        await queue.send([message(TASKS, "\ud800", group="g")])

    assert await look(queue) == []
    await queue.aclose()


def test_an_option_is_refused(tmp_path: Path) -> None:
    location = Location(f"file:{tmp_path}?fast=yes", "file", str(tmp_path), {"fast": "yes"})

    for make in (FileQueue, FileStore):
        with pytest.raises(Misuse, match="fast"):
            make(location, ENVIRONMENT)


def test_file_is_a_store_and_a_queue_and_its_own_natural_queue() -> None:
    assert perdure_local.perdure_stores()["file"] is FileStore
    assert perdure_local.perdure_queues()["file"] is FileQueue
    assert perdure_local.perdure_natural_queues()["file"] == "{url}"
