"""The guide `redis-backend.md`: its blocks are the files of the example, and its mistakes are found as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guides" / "redis-backend.md").read_text("utf-8")
EXAMPLE = ROOT / "examples" / "redis_backend"
BUILT = [
    "src/perdure_redis/_connection.py",
    "src/perdure_redis/_store.py",
    "src/perdure_redis/_queue.py",
    "tests/conftest.py",
    "tests/test_conformance.py",
]
FROM_SKELETON = ["src/perdure_redis/__init__.py", "src/perdure_redis/_plugin.py"]
CLAUSES = {f"{half}{number}" for half, last in (("H", 10), ("Q", 11), ("C", 6)) for number in range(1, last + 1)}
LIMIT_SECONDS = 110
SIDE_BY_SIDE = ("-p", "xdist", "-n", "4")
"""For what mostly waits: leases that end, and messages that are due. Each of the four has a server of its own."""

IN_MEMORY = Path("/dev/shm")
"""Where there is such a folder, the server's files are in it: whether a disk is fast is not what is tried here."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def block(beginning: str, kind: str = "python") -> str:
    """Give the one block that begins with a line, without that line."""
    (found,) = [each for each in blocks(kind) if each.startswith(f"{beginning}\n")]
    return found.partition("\n")[2]


def lines_of(text: str) -> list[str]:
    """Give the lines that are not blank: a block does not say how many blank ones come before it."""
    return [line for line in text.splitlines() if line]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the example, where there is all that its tests need."""
    pytest.importorskip("redis", reason="the package redis is not installed: pip install redis")
    pytest.importorskip("perdure_conformance", reason="the suite is not installed: pip install perdure-conformance")
    copy = tmp_path / "perdure-redis"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return copy


def try_first(package: Path, path: str, script: str) -> None:
    """Put the guide's first try of a script in the place of the final one."""
    mistake = block(f"# first try: {path}, {script}")
    file = package / path
    text, count = re.subn(
        rf'^{script} = """.*?^"""\n', lambda _: mistake, file.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert count == 1
    file.write_text(text, "utf-8")


def run_tests(package: Path, *arguments: str) -> tuple[int, str]:
    """Run pytest as an author does, with no other plugins: they take long to begin."""
    plugins = ("-p", "asyncio", "-p", "perdure", "-p", "no:cacheprovider")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as place:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "--tb=short", *plugins, f"--basetemp={place}/b", *arguments],
            cwd=package,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    if "no redis-server and no valkey-server" in done.stdout:
        pytest.skip("no redis-server and no valkey-server on PATH: apt-get install redis-server")
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", BUILT)
def test_the_blocks_of_the_guide_are_the_files_of_the_example(path: str) -> None:
    """In their order, and nothing is left out: who types them has the package."""
    heads = [each.partition("\n") for each in blocks("python")]
    typed = "\n".join(text for head, _, text in heads if head == f"# {path}")

    assert lines_of(typed) == lines_of((EXAMPLE / path).read_text("utf-8"))


def test_the_guide_has_no_other_blocks_of_python() -> None:
    heads = {each.partition("\n")[0] for each in blocks("python")}

    tries = {head for head in heads if head.startswith("# first try: ")}
    assert heads - tries == {f"# {path}" for path in BUILT}
    assert len(tries) == 2


def test_the_rest_of_the_package_is_what_the_skeleton_gives(tmp_path: Path) -> None:
    pytest.importorskip("click")
    program = "from perdure.cli._provider import provider; provider.main(['new', 'redis'], standalone_mode=False)"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)

    made = tmp_path / "perdure-redis"
    assert {path: (EXAMPLE / path).read_text("utf-8") for path in FROM_SKELETON} == {
        path: (made / path).read_text("utf-8") for path in FROM_SKELETON
    }
    sources = {str(path.relative_to(EXAMPLE)) for path in EXAMPLE.glob("src/*/*.py")}
    assert sources == {path for path in [*BUILT, *FROM_SKELETON] if path.startswith("src/")}


def test_the_first_append_forgets_that_answers_are_lost(package: Path) -> None:
    try_first(package, "src/perdure_redis/_store.py", "APPEND")

    code, told = run_tests(package, "-k", "TestStore and (h2_ or h4_ or h6_)")

    assert code == 1, told
    for line in block_of_report("H4 is broken"):
        assert line in told
    for clause in ("H2", "H6"):
        assert f"{clause} is broken" in told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_first_take_loses_what_a_dead_worker_held(package: Path) -> None:
    try_first(package, "src/perdure_redis/_queue.py", "TAKE")

    code, told = run_tests(package, "-x", "-k", "TestQueue and q1_a_message_whose_holder_is_gone and tasks")

    assert code == 1, told
    for line in block_of_report("Q1 is broken"):
        assert line in told


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_finished_package_keeps_every_promise_on_a_real_server(package: Path) -> None:
    """All clauses, what a killed server still knows, and orchestrations whose workers are killed.

    `pytest` in the example itself runs the scenarios of orchestrations that are left out here.
    """
    code, told = run_tests(package, *SIDE_BY_SIDE, "-k", "not TestHub or killed")

    assert code == 0, told[-4000:]
    assert set(re.findall(r"^  (\S+) +kept ", told, re.MULTILINE)) >= CLAUSES


def block_of_report(beginning: str) -> list[str]:
    """Give the lines of what the guide says that the report says."""
    (found,) = [each for each in blocks("text") if each.startswith(beginning)]
    return found.splitlines()
