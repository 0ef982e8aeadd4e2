"""`perdure provider new`: what it makes passes the conformance suite before anybody has written a line."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from perdure.cli._provider import names_of, provider
from perdure.errors import Misuse

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("perdure_conformance", exc_type=ImportError)

LIMIT_SECONDS = 110


def make(folder: Path, name: str = "river-stone") -> Path:
    """Make a package and give its folder."""
    result = CliRunner().invoke(provider, ["new", name, "--into", str(folder)])
    assert result.exit_code == 0, result.output
    return folder / f"perdure-{name}"


def test_a_package_has_everything_that_an_author_needs(tmp_path: Path) -> None:
    package = make(tmp_path)

    assert sorted(str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()) == [
        ".github/workflows/conformance.yml",
        "README.md",
        "pyproject.toml",
        "src/perdure_river_stone/__init__.py",
        "src/perdure_river_stone/_plugin.py",
        "src/perdure_river_stone/_queue.py",
        "src/perdure_river_stone/_store.py",
        "src/perdure_river_stone/py.typed",
        "tests/test_conformance.py",
    ]
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["perdure"] == {"river-stone": "perdure_river_stone"}
    everything = "".join(path.read_text("utf-8") for path in package.rglob("*") if path.is_file())
    assert [placeholder for placeholder in names_of("x1") if placeholder in everything] == []
    assert "class RiverStoneStore(HistoryStore)" in everything


@pytest.mark.slow
def test_what_is_made_passes_the_quick_profile(tmp_path: Path) -> None:
    package = make(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--perdure-report=out"]

    done = subprocess.run(
        command,
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package / "src")},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
    badge = (package / "out" / "badge.json").read_text("utf-8")
    assert '"color": "brightgreen"' in badge
    assert "clauses (quick)" in badge


def test_nothing_is_written_over(tmp_path: Path) -> None:
    package = make(tmp_path)
    (package / "README.md").write_text("mine", "utf-8")

    result = CliRunner().invoke(provider, ["new", "river-stone", "--into", str(tmp_path)])

    assert result.exit_code == 2
    assert "is there and not empty: choose another name or --into." in result.stderr
    assert (package / "README.md").read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", ["Redis", "1st", "a_b", "a--b", "-a", "a/b", "", "perdure-"])
def test_a_name_that_cannot_be_a_scheme_and_a_module_is_refused(name: str) -> None:
    with pytest.raises(Misuse, match="lower-case letters and digits"):
        names_of(name)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(Misuse, match="sqlite: is the scheme of perdure-local: choose another name"):
        names_of("perdure-sqlite")
