"""Files and the model keep every promise of ConditionalObjects."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from perdure.spi import (
    Absent,
    ConditionalObjects,
    Etag,
    Found,
    MemoryObjects,
    Misuse,
    PreconditionFailed,
    SystemEntropy,
    Unavailable,
    Unchanged,
)
from perdure_local import FileObjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAME = "h/ab/order-1/head"
WRITERS = 16


@pytest_asyncio.fixture(params=["memory", "file"])
async def clients(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[ConditionalObjects]]:
    """Clients of one service, two of each kind."""
    stored: dict[str, bytes] = {}
    opened: list[ConditionalObjects] = [
        MemoryObjects(stored) if request.param == "memory" else FileObjects(str(tmp_path / "hub"), SystemEntropy())
        for _ in range(2)
    ]
    for client in opened:
        await client.open()
    yield opened
    for client in opened:
        await client.aclose()


async def put(client: ConditionalObjects, data: bytes, name: str = NAME) -> Etag:
    etag = await client.put(name, data)
    assert not isinstance(etag, PreconditionFailed)
    return etag


async def listed(client: ConditionalObjects, prefix: str, after: str = "") -> list[str]:
    return [name async for name in client.list(prefix, after)]


async def test_o1_what_was_put_is_there_for_everybody(clients: list[ConditionalObjects]) -> None:
    etag = await put(clients[0], b"\x00one\n")

    assert await clients[1].get(NAME) == Found(b"\x00one\n", etag)
    assert await listed(clients[1], "") == [NAME]


async def test_o2_if_absent_succeeds_once(clients: list[ConditionalObjects]) -> None:
    calls = [clients[who % 2].put(NAME, b"%d" % who, if_absent=True) for who in range(WRITERS)]

    outcomes = await asyncio.gather(*calls)

    assert outcomes.count(PreconditionFailed()) == WRITERS - 1
    found = await clients[0].get(NAME)
    assert isinstance(found, Found)
    assert found.etag in outcomes


async def test_o2_if_match_succeeds_once_per_content(clients: list[ConditionalObjects]) -> None:
    etag = await put(clients[0], b"0")

    for turn in range(1, 11):
        calls = [clients[w % 2].put(NAME, b"%d-%d" % (turn, w), if_match=etag) for w in range(WRITERS)]
        outcomes = await asyncio.gather(*calls)
        (etag,) = [outcome for outcome in outcomes if not isinstance(outcome, PreconditionFailed)]
        found = await clients[turn % 2].get(NAME)
        assert isinstance(found, Found)
        assert found.etag == etag


async def test_o2_a_condition_that_does_not_hold_changes_nothing(clients: list[ConditionalObjects]) -> None:
    old = await put(clients[0], b"old")
    new = await put(clients[1], b"new")

    assert await clients[0].put(NAME, b"late", if_match=old) == PreconditionFailed()
    assert await clients[0].put(NAME, b"late", if_absent=True) == PreconditionFailed()
    assert await clients[0].put("other", b"late", if_match=new) == PreconditionFailed()
    assert await clients[0].get(NAME) == Found(b"new", new)
    assert await clients[0].get("other") == Absent()


async def test_o2_what_was_deleted_matches_nothing(clients: list[ConditionalObjects]) -> None:
    etag = await put(clients[0], b"one")
    await clients[1].delete([NAME, "never-there"])

    assert await clients[0].put(NAME, b"two", if_match=etag) == PreconditionFailed()
    assert await clients[0].get(NAME) == Absent()
    assert not isinstance(await clients[0].put(NAME, b"two", if_absent=True), PreconditionFailed)


async def test_o3_unchanged_is_told_only_of_the_same_content(clients: list[ConditionalObjects]) -> None:
    first = await put(clients[0], b"one")
    assert await clients[1].get(NAME, first) == Unchanged()

    second = await put(clients[0], b"two")

    assert await clients[1].get(NAME, first) == Found(b"two", second)
    assert await clients[1].get(NAME, Etag("no such etag")) == Found(b"two", second)


async def test_o3_nobody_reads_a_half(clients: list[ConditionalObjects]) -> None:
    await put(clients[0], b"0" * 1_000_000)

    async def write() -> None:
        for digit in (b"1", b"2", b"3"):
            await put(clients[0], digit * 1_000_000)

    writing = asyncio.create_task(write())
    while not writing.done():
        found = await clients[1].get(NAME)
        assert isinstance(found, Found)
        assert found.data == found.data[:1] * 1_000_000
        await asyncio.sleep(0)  # the model never waits by itself
    await writing


async def test_o5_a_list_is_in_order_and_begins_where_it_is_told(clients: list[ConditionalObjects]) -> None:
    names = ["h/a/b/head", "h/a-/b", "h/a.b", "p/x", "h/a/b/c/1", "h/ab/x", "h_"]
    for name in names:
        await put(clients[0], b"x", name)

    assert await listed(clients[1], "") == sorted(names)
    assert await listed(clients[1], "h/") == sorted(name for name in names if name.startswith("h/"))
    assert await listed(clients[1], "h/a/") == ["h/a/b/c/1", "h/a/b/head"]
    assert await listed(clients[1], "h/a", after="h/a/b/c/1") == ["h/a/b/head", "h/ab/x"]
    assert await listed(clients[1], "q/") == []


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", "..", "a/../b", "./a", "A", "ä", "a b", "a" * 901, "a\n"]
)
async def test_a_name_that_is_none_is_refused(clients: list[ConditionalObjects], name: str) -> None:
    with pytest.raises(Misuse):
        await clients[0].put(name, b"x")
    with pytest.raises(Misuse):
        await clients[0].get(name)


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
