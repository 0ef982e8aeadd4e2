"""Files of a hub were cut or changed while nobody used it: never a wrong history, and nothing is overwritten."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import story

import perdure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEAVE_LOG = Path(__file__).parent / "children" / "leave_log.py"
ERRANDS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A hub that nobody uses, to make damaged copies of.

    Attributes:
        folder: Of the hub.
        truth: Everything that can be read from it.
    """

    folder: Path
    truth: Any

    def read_damaged(self, name: str, content: bytes | None) -> tuple[str, dict[str, bool]]:
        """Read a copy in which one file is another, or gone.

        Returns:
            How that ended, `""` if all was read and is true; and by file whether it was left as it was.
        """
        copy = self.folder.with_name("damaged")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        if content is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(content)
        before = contents(copy)
        try:
            end = "" if asyncio.run(read(copy)) == self.truth else "WRONG"
        except perdure.PerdureError as problem:
            end = f"{type(problem).__name__}: {problem}"
        after = contents(copy)
        return end, {each: before.get(each) == after.get(each) for each in ("hub.db", "hub.db-wal")}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def read(folder: Path) -> Any:
    """Read everything that an application can see."""
    async with perdure.connect(f"sqlite:{folder}") as hub:
        summaries = [summary async for summary in hub.list()]
        return summaries, [await hub.history(f"errand-{number}") for number in range(1, ERRANDS + 1)]


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """Give a hub that was closed: all is in the database file."""
    monkeypatch.setattr(story, "LARGE", 100)
    monkeypatch.setattr(story, "ledger", story.Ledger(tmp_path / "ledger"))
    asyncio.run(story.tell(f"sqlite:{tmp_path / 'hub'}", range(1, ERRANDS + 1)))
    assert not (tmp_path / "hub" / "hub.db-wal").exists()
    return Sample(tmp_path / "hub", asyncio.run(read(tmp_path / "hub")))


@pytest.fixture(scope="module", params=["", "carry"], ids=["all in the log", "half of the log carried over"])
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Give a hub whose process was killed: its log is there."""
    place = tmp_path_factory.mktemp("killed")
    hub = place / "hub"
    subprocess.run(
        [sys.executable, LEAVE_LOG, f"sqlite:{hub}", place / "ledger", str(ERRANDS), request.param], check=False
    )
    for socket in (hub / "wake").iterdir():
        socket.unlink()
    shutil.copytree(hub, place / "whole")
    return Sample(hub, asyncio.run(read(place / "whole")))


def flips(content: bytes, count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Change one bit at random places."""
    chance = random.Random(seed)
    for _ in range(count):
        at = chance.randrange(len(content))
        yield at, content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def cuts(content: bytes, count: int, seed: int) -> Iterable[int]:
    """Give lengths to cut to: around what SQLite reads as a unit, and anywhere."""
    edges = {0, 1, 31, 32, 99, 100, 511, 512, 4095, 4096, 4097, len(content) - 4096, len(content) - 1}
    chance = random.Random(seed)
    return sorted(edges | {chance.randrange(len(content)) for _ in range(count)})


def check_told(end: str, at: int) -> None:
    assert end.startswith("Corrupt: "), (at, end)
    assert "hub.db" in end or "errand-" in end, (at, end)
    assert "Restore the folder from a backup" in end, (at, end)


def test_a_database_that_was_cut_is_refused_and_left_alone(closed: Sample) -> None:
    """Also one that was cut to nothing: it is not a new hub."""
    content = (closed.folder / "hub.db").read_bytes()

    for length in cuts(content, 10, seed=1):
        end, untouched = closed.read_damaged("hub.db", content[:length])
        if end or length <= len(content) - 4096:  # Else it may hit what nobody needs at the end of the last page.
            check_told(end, length)
        assert untouched["hub.db"], length
    end, untouched = closed.read_damaged("hub.db", None)
    check_told(end, -1)
    assert untouched["hub.db"], "none was created in its place"


def test_a_log_that_was_cut_or_changed_is_refused_and_left_alone(killed: Sample) -> None:
    """SQLite would take the rest for what was not committed, and go on from an older state without a word."""
    content = (killed.folder / "hub.db-wal").read_bytes()
    damaged = [(length, content[:length]) for length in cuts(content, 6, seed=2)]
    told = 0

    for at, bad in [*damaged, *flips(content, 15, seed=3)]:
        end, untouched = killed.read_damaged("hub.db-wal", bad)
        if end:  # Else it hit what is left of an older log.
            check_told(end, at)
            assert "hub.db-wal" in end
            assert untouched == {"hub.db": True, "hub.db-wal": True}, at
            told += 1
    assert told >= 15


def test_a_damaged_log_is_refused_again_and_given_up_only_by_hand(killed: Sample, tmp_path: Path) -> None:
    """The first look must not destroy what shows the damage; and who has no backup can still go on."""
    hub = Path(shutil.copytree(killed.folder, tmp_path / "hub"))
    log = hub / "hub.db-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])

    for _ in range(3):
        with pytest.raises(perdure.Corrupt, match=r"hub\.db-wal is damaged.*delete hub\.db-shm"):
            asyncio.run(read(hub))
    (hub / "hub.db-shm").unlink()

    assert asyncio.run(count(hub)) < ERRANDS


async def count(folder: Path) -> int:
    async with perdure.connect(f"sqlite:{folder}") as hub:
        return len([summary async for summary in hub.list()])


def test_a_log_that_is_whole_is_read_after_its_process_was_killed(killed: Sample) -> None:
    """What guards against damage must not take a crash for damage."""
    end, _ = killed.read_damaged("hub.db-wal", (killed.folder / "hub.db-wal").read_bytes())

    assert end == ""


def test_a_damaged_record_is_refused_and_left_alone(closed: Sample) -> None:
    """Every byte of every record counts."""
    content = (closed.folder / "hub.db").read_bytes()
    with closing(sqlite3.connect(f"file:{closed.folder / 'hub.db'}?mode=ro", uri=True)) as database:
        records = [row[0] for row in database.execute("SELECT data FROM log")]
    chance = random.Random(4)

    for record in chance.sample(records, 12):
        at = content.index(record) + chance.randrange(len(record))
        end, untouched = closed.read_damaged("hub.db", content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        check_told(end, at)
        assert untouched["hub.db"], at


@pytest.mark.slow
def test_a_flipped_bit_anywhere_in_the_database_gives_an_error_or_the_truth(closed: Sample) -> None:
    """Many hit what nobody reads; none may change what somebody reads."""
    content = (closed.folder / "hub.db").read_bytes()

    for at, bad in flips(content, 200, seed=5):
        end, untouched = closed.read_damaged("hub.db", bad)
        if end:
            check_told(end, at)
        assert untouched["hub.db"], at
