"""A disk is full, or refuses to write, for a while: the hub waits, and works again when the disk does."""

from __future__ import annotations

import errno
import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Disk

TELL_ON = Path(__file__).parent / "children" / "tell_on.py"


class Teller:
    """A process that tells errands to a hub, client and worker in one."""

    def __init__(self, start: Callable[..., subprocess.Popen[str]], hub: Path, ledger: Path) -> None:
        self.url, self.ledger = f"sqlite:{hub}", story.Ledger(ledger)
        self._child = start(TELL_ON, self.url, ledger, 1)

    def wait_for(self, word: str, count: int = 1) -> str:
        """Read on until something was said so often; give the last of it."""
        assert self._child.stdout is not None
        lines = (line for line in self._child.stdout if line.startswith(word))
        found = list(itertools.islice(lines, count))
        assert len(found) == count, f"it ended, and said {word!r} {len(found)} times more"
        return found[-1].strip()

    def end(self) -> int:
        """Have it end after its errand, and give its exit code."""
        self._child.communicate("\n")
        return self._child.returncode

    def kill(self) -> None:
        """End it as by the power switch, if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.communicate()

    async def check(self) -> None:
        """Hold the hub against the ledger, here, on a disk that works."""
        story.ledger = self.ledger
        assert await story.finish(self.url) == ""


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Callable[..., Teller]]:
    """Start a teller; none outlives the test."""
    tellers: list[Teller] = []

    def start_one(start: Callable[..., subprocess.Popen[str]], hub: Path) -> Teller:
        tellers.append(Teller(start, hub, tmp_path / "ledger"))
        return tellers[-1]

    yield start_one
    for teller in tellers:
        teller.kill()


def start_plainly(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def fill(folder: Path) -> Path:
    """Write a file until there is no room for one more page."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
    return filler


async def test_a_full_disk_holds_work_up_and_loses_nothing(small_disk: Path, tell: Callable[..., Teller]) -> None:
    """A real file system without a free page."""
    teller = tell(start_plainly, small_disk / "hub")
    teller.wait_for("ended", 2)

    filler = fill(small_disk)
    problem = teller.wait_for("trouble")
    filler.unlink()
    teller.wait_for("ended", 2)

    assert "full" in problem
    assert teller.end() == 0
    await teller.check()


@pytest.mark.slow
async def test_a_worker_that_is_killed_on_a_full_disk_loses_nothing(
    small_disk: Path, tell: Callable[..., Teller]
) -> None:
    """Whoever restarts it while the disk is still full is told so, and nothing is changed by trying."""
    teller = tell(start_plainly, small_disk / "hub")
    teller.wait_for("ended", 2)
    filler = fill(small_disk)
    teller.wait_for("trouble")

    teller.kill()
    filler.unlink()

    await teller.check()


@pytest.mark.parametrize(
    ("error", "kinds", "words"),
    [
        pytest.param(errno.ENOSPC, "wtn", "is full", marks=pytest.mark.slow),
        pytest.param(errno.EIO, "s", "system log", marks=pytest.mark.slow),
        pytest.param(errno.EIO, "wstn", "system log", marks=pytest.mark.slow),
    ],
    ids=["full", "sync", "write"],
)
async def test_a_disk_that_does_not_write_for_a_while_holds_work_up_and_loses_nothing(
    disk: Disk, tell: Callable[..., Teller], error: int, kinds: str, words: str
) -> None:
    teller = tell(disk.start, disk.folder / "hub")
    teller.wait_for("ended", 2)

    disk.fail(error, kinds)
    problem = teller.wait_for("trouble")
    disk.mend()
    teller.wait_for("ended", 2)

    assert words in problem
    assert teller.end() == 0
    await teller.check()


@pytest.mark.slow
@pytest.mark.parametrize("kinds", ["s", "wston"])
async def test_a_worker_that_is_killed_while_its_disk_fails_loses_nothing(
    disk: Disk, tell: Callable[..., Teller], kinds: str
) -> None:
    """What was written and not synced may be there or not; what was acknowledged is."""
    teller = tell(disk.start, disk.folder / "hub")
    teller.wait_for("ended", 2)

    disk.fail(errno.EIO, kinds)
    teller.wait_for("trouble")
    teller.kill()
    disk.mend()

    await teller.check()
