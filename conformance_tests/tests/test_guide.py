"""The guide `write-a-backend.md`, followed to the letter: first the mistake that it shows, then its mend."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "write-a-backend.md"
LIMIT_SECONDS = 110
IN_MEMORY = Path("/dev/shm")
"""Where there is such a folder, databases are in it: whether a disk is fast is not what is tried here."""


def block(beginning: str) -> str:
    """Give the code block of the guide that begins with a line."""
    blocks = re.findall(r"^```(?:python|text)\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = [each for each in blocks if each.startswith(beginning)]
    return found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What the guide begins with, and its first version of the store."""
    program = "from perdure.cli._provider import provider; provider.main(['new', 'shelf'], standalone_mode=False)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    made = tmp_path / "perdure-shelf"
    for name in ("_objects.py", "_store.py"):
        place = f"src/perdure_shelf/{name}"
        (made / place).write_text(block(f"# {place}\n"), "utf-8")
    replace(made / "tests/test_conformance.py", r"class ShelfHarness.*?(?=\nclass TestStore)", "# tests/test_conf")
    return made


def replace(file: Path, pattern: str, beginning: str) -> None:
    """Put a block of the guide, without its first line, in place of what the pattern finds once."""
    new = block(beginning).partition("\n")[2]
    text, count = re.subn(pattern, lambda _: new + "\n", file.read_text("utf-8"), flags=re.DOTALL)
    assert count == 1
    file.write_text(text, "utf-8")


def run_tests(package: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest as an author does; no extra plugins, they take long to begin."""
    plugins = ("-p", "asyncio", "-p", "perdure", "-p", "no:cacheprovider")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as place:
        done = run_in(package, "-q", "--tb=line", *plugins, f"--basetemp={place}/hubs", *arguments)
    return done.returncode, done.stdout


def run_in(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=package,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


@pytest.mark.slow
def test_the_guide_leads_from_its_mistake_to_a_store_that_keeps_every_promise(package: Path) -> None:
    code, told = run_tests(package, "-k", "TestStore and h2")
    assert code == 1, told
    for line in block("H2 is broken").splitlines():
        assert line in told

    replace(
        package / "src/perdure_shelf/_objects.py",
        r"    async def put.*?(?=\n    async def delete)",
        "# src/perdure_shelf/_objects.py, ",
    )
    code, told = run_tests(package, "-k", "TestStore or TestCommitter")
    assert code == 0, told[-4000:]
    assert "ShelfHarness: 16 kept" in told
