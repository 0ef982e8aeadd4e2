"""Large values are files: what happens to them on a full disk, and when they were damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import story

import perdure
from perdure.spi import Environment, Key, Location, StoredPayload, SystemClock, SystemEntropy, Unavailable
from perdure_local import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

MIB = 2**20


@pytest_asyncio.fixture
async def store(small_disk: Path) -> AsyncIterator[SqliteStore]:
    """Open a store on a disk of 4 MiB."""
    location = Location(url=f"sqlite:{small_disk}", scheme="sqlite", path=str(small_disk), options={})
    opened = SqliteStore(location, Environment(SystemClock(), SystemEntropy()))
    await opened.open()
    yield opened
    await opened.aclose()


async def test_a_payload_that_does_not_fit_is_refused_and_takes_no_room(store: SqliteStore, small_disk: Path) -> None:
    """However often it is tried: what fits still fits afterwards."""
    payload = StoredPayload(Key("errand-1"), "large")

    for _ in range(3):
        with pytest.raises(Unavailable, match=r"payloads.*free some space"):
            await store.put_payload(payload, bytes(8 * MIB))

    assert story.left_over(small_disk) == []
    await store.put_payload(payload, b"x" * 2 * MIB)
    assert await store.get_payload(payload) == b"x" * 2 * MIB


async def tell_one(hub: Path, ledger: Path) -> Path:
    """Tell one errand, and give the file of its large result."""
    story.ledger = story.Ledger(ledger)
    await story.tell(f"sqlite:{hub}", [1])
    (file,) = [file for file in (hub / "payloads").rglob("*") if file.is_file()]
    return file


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, empty, flip, lambda file: file.unlink()], ids=["cut", "empty", "flip", "gone"])
async def test_a_damaged_payload_is_refused(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Its record has length and digest: whoever reads the value is told, and the rest of the hub goes on."""
    damage(await tell_one(tmp_path / "hub", tmp_path / "ledger"))

    async with perdure.connect(f"sqlite:{tmp_path / 'hub'}") as hub:
        with pytest.raises(perdure.Corrupt, match=r"errand-1.*payload"):
            await hub.history("errand-1")
        assert await (await hub.get("errand-1")).result() == story.expected_of(1)
