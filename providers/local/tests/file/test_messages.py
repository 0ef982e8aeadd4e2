"""What the queue's files are good for beyond the promises of a WorkQueue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance.material import TASKS, ids_of, message

import perdure_local
from perdure.spi import Corrupt, Delivery, Environment, Location, Misuse, SystemClock, SystemEntropy, WorkerId
from perdure_local import FileQueue, FileStore

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = Environment(SystemClock(), SystemEntropy())


async def open_queue(path: Path) -> FileQueue:
    queue = FileQueue(Location(f"file:{path}", "file", str(path), {}), ENVIRONMENT)
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


def test_an_option_is_refused(tmp_path: Path) -> None:
    location = Location(f"file:{tmp_path}?fast=yes", "file", str(tmp_path), {"fast": "yes"})

    for make in (FileQueue, FileStore):
        with pytest.raises(Misuse, match="fast"):
            make(location, ENVIRONMENT)


def test_file_is_a_store_and_a_queue_and_its_own_natural_queue() -> None:
    assert perdure_local.perdure_stores()["file"] is FileStore
    assert perdure_local.perdure_queues()["file"] is FileQueue
    assert perdure_local.perdure_natural_queues()["file"] == "{url}"
