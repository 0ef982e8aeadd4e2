"""Which folders are fit for a hub, and what lies in them."""

from __future__ import annotations

import mmap
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from perdure_conformance.material import KEYS, ORDER, TASKS, begin, message

from perdure.spi import Corrupt, Environment, Location, Misuse, StoredPayload, SystemClock, SystemEntropy, TooNew
from perdure_local import SqliteStore
from perdure_local.sqlite import _folder
from perdure_local.sqlite._folder import _put_back, find_file_system

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure_conformance import Harness

MOUNTS = r"""
24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 24 0:22 / /proc rw - proc proc rw
36 24 0:31 / /mnt/share rw,relatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2
37 36 0:32 / /mnt/share/disk rw - xfs /dev/vdb rw
38 24 0:33 / /mnt/two\040words rw - cifs //server/x rw
39 24 0:34 / /srv rw - ext4 /dev/vdc rw
40 24 0:35 / /srv rw - fuse.sshfs me@server: rw
"""


def list_files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def open_at(path: object, **options: str) -> SqliteStore:
    location = Location(url=f"sqlite:{path}", scheme="sqlite", path=str(path), options=options)
    return SqliteStore(location, Environment(SystemClock(), SystemEntropy()))


async def test_only_its_owner_reaches_what_is_in_the_folder(harness: Harness) -> None:
    """Histories hold what users entrust to an application."""
    backend = await harness.open_backend()
    await begin(backend.store)
    await backend.store.put_payload(StoredPayload(ORDER, "large"), b"content")
    receiving = harness.begin_receive(backend.queue, TASKS)
    await harness.let_time_pass(0)

    modes = {file: stat.S_IMODE(file.stat().st_mode) for file in [harness.folder, *harness.folder.rglob("*")]}

    assert {mode for file, mode in modes.items() if file.is_dir()} == {0o700}
    assert {mode for file, mode in modes.items() if not file.is_dir()} == {0o600}
    assert {file.name for file in modes} >= {"hub.db", "hub.db-wal", "hub.db-shm", "gate.lock", "room.lock"}
    assert any(file.is_socket() for file in modes)
    receiving.cancel()


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """Give a folder that everybody may write to."""
    tmp_path.chmod(0o777)
    return tmp_path


async def test_a_folder_that_everybody_may_write_to_is_refused(open_folder: Path) -> None:
    """Anybody could put records into histories."""
    with pytest.raises(Misuse, match="chmod 700"):
        await open_at(open_folder).open()

    assert list_files(open_folder) == []


async def test_a_folder_that_cannot_be_written_to_is_refused(read_only_folder: Path) -> None:
    """With the path and what to look at."""
    with pytest.raises(Misuse, match=f"{read_only_folder}.*the mount"):
        await open_at(read_only_folder).open()


async def test_a_new_folder_in_one_that_cannot_be_written_to_is_refused(read_only_folder: Path) -> None:
    """The same, one level up."""
    with pytest.raises(Misuse, match="the mount"):
        await open_at(read_only_folder / "hub").open()


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that not even root can write to."""
    folder = tmp_path / "readonly"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a read-only file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("not a folder")

    with pytest.raises(Misuse, match="must name a folder"):
        await open_at(tmp_path / "hub").open()
    with pytest.raises(Misuse, match="a part of it is a file"):
        await open_at(tmp_path / "hub" / "below").open()


@pytest.mark.parametrize("path", ["", "a\0b"])
async def test_a_path_that_names_nothing_is_refused(path: str) -> None:
    with pytest.raises(Misuse, match=r"sqlite:\.perdure"):
        await open_at(path).open()


def test_options_that_there_are_not_are_refused(tmp_path: Path) -> None:
    """A misspelt option would be silently without effect."""
    with pytest.raises(Misuse, match="'synchronous'"):
        open_at(tmp_path, synchronous="off")


@pytest.mark.parametrize(
    ("folder", "file_system"),
    [
        ("/home/me/hub", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/hub", "nfs4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/share/disk/hub", "xfs"),
        ("/mnt/two words/hub", "cifs"),
        ("/srv/hub", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_folder_is_found(tmp_path: Path, folder: str, file_system: str) -> None:
    """The longest mount that the folder is in, and of two on one place the upper one."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.lstrip())

    assert find_file_system(Path(folder), mounts) == file_system


def test_elsewhere_than_on_linux_the_file_system_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such list there: a hub can be opened all the same."""
    monkeypatch.setattr(sys, "platform", "darwin")

    assert find_file_system(tmp_path, tmp_path / "no such list") is None


async def test_a_folder_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks and its shared memory do not reach other machines."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"24 1 254:0 / / rw - ext4 /dev/vda rw\n36 24 0:31 / {tmp_path} rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(_folder, "_MOUNTS", mounts)

    with pytest.raises(Misuse, match=r"nfs4 file system.*local disk"):
        await open_at(tmp_path / "hub").open()


async def test_a_hub_of_a_newer_release_is_left_alone(harness: Harness) -> None:
    """It may hold what this release would destroy."""
    store = await harness.open_store()
    await begin(store)
    await store.aclose()
    database = harness.folder / "hub.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = database.read_bytes()

    with pytest.raises(TooNew, match="version 99"):
        await open_at(harness.folder).open()

    assert database.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1])
async def test_the_database_of_another_program_is_left_alone(tmp_path: Path, version: int) -> None:
    database = tmp_path / "hub.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE recipes (name)")
        connection.execute(f"PRAGMA user_version = {version}")
    before = database.read_bytes()

    with pytest.raises(Misuse, match="another folder"):
        await open_at(tmp_path).open()

    assert database.read_bytes() == before


async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """Whatever it was, it is a person's business."""
    database = tmp_path / "hub.db"
    database.write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(Corrupt, match=f"{tmp_path}.*backup"):
        await open_at(tmp_path).open()

    assert database.read_bytes() == b"Dear diary, " * 1000


async def test_a_refused_hub_can_be_opened_once_the_fault_is_mended(tmp_path: Path) -> None:
    """Nothing of the failed attempt stays: no lock, no handle."""
    (tmp_path / "hub.db").write_bytes(b"Dear diary, " * 1000)
    store = open_at(tmp_path)
    with pytest.raises(Corrupt):
        await store.open()

    (tmp_path / "hub.db").unlink()
    await store.open()

    await begin(store)
    await store.aclose()


async def test_a_hub_is_the_same_by_whatever_path_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, absolute, through a link: one database in one process."""
    (tmp_path / "link").symlink_to(tmp_path / "hub")
    monkeypatch.chdir(tmp_path)
    stores = [open_at("hub"), open_at(tmp_path / "hub"), open_at("link"), open_at(f"{tmp_path}/x/../hub")]

    for store in stores:
        await store.open()

    assert len({id(store.access.database) for store in stores}) == 1
    for store in stores:
        await store.aclose()
        await store.aclose()


async def test_h9_whatever_keys_and_names_hold_nothing_is_written_outside_the_hub(harness: Harness) -> None:
    """Payloads are the only files that are named by users."""
    store = await harness.open_store()
    hostile = [*KEYS.values(), "a\0b", "x" * 300]
    payloads = [StoredPayload(KEYS["far up"], name) for name in hostile]
    payloads += [StoredPayload(key, "../../x") for key in KEYS.values()]

    for payload in payloads:
        await store.put_payload(payload, repr(payload).encode())

    assert [await store.get_payload(payload) for payload in payloads] == [repr(each).encode() for each in payloads]
    assert list(harness.folder.parent.iterdir()) == [harness.folder]
    files = list_files(harness.folder / "payloads")
    assert len({file.name.casefold() for file in files}) == len(payloads), "two would be one where case is folded"


async def test_a_purged_history_leaves_no_payload_behind(harness: Harness) -> None:
    store = await harness.open_store()
    await begin(store)
    await store.put_payload(StoredPayload(ORDER, "large"), b"content")

    await store.purge(ORDER, 1)

    assert list_files(harness.folder / "payloads") == []


async def test_messages_and_keys_with_a_null_character_come_back_whole(harness: Harness) -> None:
    """Checked ids have none; a store that cuts text at it would mix up two of them all the same."""
    queue = await harness.open_queue()

    await queue.send([message(TASKS, "m\0-1", group="a\0b")])

    assert (await harness.receive_one(queue, TASKS)).envelope == message(TASKS, "m\0-1", group="a\0b")


def test_an_index_that_is_put_back_is_never_shorter_for_a_moment(tmp_path: Path) -> None:
    """A process that has it mapped would be killed for looking at a page that is gone."""
    index = tmp_path / "hub.db-shm"
    index.write_bytes(b"new" * 20_000)
    with index.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        _put_back(index, b"old" * 10_000)

        assert mapped[:3] == b"old"
        assert mapped[-3:] == b"new"
