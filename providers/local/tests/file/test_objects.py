"""FileObjects keeps every promise of ConditionalObjects, and what only files can do wrong."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest
from perdure_conformance.objects import ObjectsContract, ObjectsHarness

from perdure.spi import ConditionalObjects, Misuse, PreconditionFailed, SystemEntropy, Unavailable
from perdure_local import FileObjects

if TYPE_CHECKING:
    from pathlib import Path

NAME = "h/ab/order-1/head"


class FilesHarness(ObjectsHarness):
    """Objects in a folder."""

    def make_objects(self) -> ConditionalObjects:
        return FileObjects(str(self.folder), SystemEntropy())


class TestObjects(ObjectsContract):
    harness = FilesHarness


async def put(client: ConditionalObjects, data: bytes, name: str = NAME) -> None:
    assert not isinstance(await client.put(name, data), PreconditionFailed)


async def listed(client: ConditionalObjects, prefix: str) -> list[str]:
    return [name async for name in client.list(prefix)]


async def test_files_are_for_their_owner_only_and_nothing_is_left_over(tmp_path: Path) -> None:
    objects = FileObjects(str(tmp_path / "hub"), SystemEntropy())
    await objects.open()
    await put(objects, b"one")
    await objects.put(NAME, b"two", if_absent=True)
    await objects.aclose()

    assert list((tmp_path / "hub" / "new").iterdir()) == []
    files = [path for path in (tmp_path / "hub").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_what_a_dead_writer_left_is_removed_after_a_day(tmp_path: Path) -> None:
    new = tmp_path / "hub" / "new"
    new.mkdir(parents=True)
    (tmp_path / "hub").chmod(0o700)
    for name in ("old", "young"):
        (new / name).write_bytes(b"half")
    os.utime(new / "old", (0, 0))
    objects = FileObjects(str(tmp_path / "hub"), SystemEntropy())

    await objects.open()
    await objects.aclose()

    assert [path.name for path in new.iterdir()] == ["young"]


async def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub").chmod(0o777)

    with pytest.raises(Misuse, match="chmod 700"):
        await FileObjects(str(tmp_path / "hub"), SystemEntropy()).open()


async def test_a_folder_that_other_machines_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 1 0:1 / {tmp_path} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr("perdure_local.file._folder._MOUNTS", mounts)

    with pytest.raises(Misuse, match="nfs4"):
        await FileObjects(str(tmp_path / "hub"), SystemEntropy()).open()


async def test_a_closed_client_is_unavailable(tmp_path: Path) -> None:
    objects = FileObjects(str(tmp_path / "hub"), SystemEntropy())
    await objects.open()
    await objects.aclose()
    await objects.aclose()

    with pytest.raises(Unavailable, match="open"):
        await objects.get(NAME)


async def test_h8_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that lacks names looks like a hub that lacks instances."""
    client = FileObjects(str(tmp_path / "hub"), SystemEntropy())
    await client.open()
    await put(client, b"1", "h/aa/x/head")
    await put(client, b"2", "h/bb/y/head")
    scandir = os.scandir

    def break_one(path: str) -> object:
        if str(path).endswith("/bb"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", break_one)
    with pytest.raises(Unavailable):
        await listed(client, "h/")
    monkeypatch.undo()

    assert await listed(client, "h/aa/x/head/") == []
    assert await listed(client, "h/cc/") == []
    await client.aclose()
