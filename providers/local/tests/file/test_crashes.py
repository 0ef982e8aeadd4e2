"""A worker is killed around an append, a send or a completion; another process goes on and ends the work."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.spi import Environment, Head, Key, Location, SystemClock, SystemEntropy
from perdure_local import FileStore

APP = Path(__file__).parent / "children" / "app.py"


def run(url: str, *death: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, APP, url, *death], capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "death",
    [
        ("append-after", "1"),
        ("append-after", "2"),
        ("send-after", "2"),
        ("complete-before", "1"),
        ("append-before", "3"),
    ],
    ids="-".join,
)
async def test_an_orchestration_goes_on_after_its_worker_was_killed(tmp_path: Path, death: tuple[str, str]) -> None:
    """Between append and send the record is there and nobody was told: whoever gets the input again sends the rest."""
    url = f"file:{tmp_path / 'hub'}"

    assert run(url, *death).returncode == -signal.SIGKILL
    again = run(url, "nowhere")

    assert (again.stdout.strip(), again.returncode) == ("42", 0), again.stderr
    store = FileStore(Location(url, "file", str(tmp_path / "hub"), {}), Environment(SystemClock(), SystemEntropy()))
    await store.open()
    head = await store.read(Key("count-1"))
    await store.aclose()
    assert isinstance(head, Head)
    assert [record.version for record in head.records] == list(range(head.records[0].version, head.version + 1))
    assert len({record.turn_id for record in head.records}) == len(head.records)
