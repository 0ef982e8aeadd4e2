"""README of the package, followed to the letter by somebody who has nothing but it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
LIMIT_SECONDS = 100


def blocks(language: str) -> list[str]:
    """Give README's code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_examples_of_readme_pass(tmp_path: Path) -> None:
    for source in blocks("python"):
        name = source.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(source, "utf-8")
    (config,) = blocks("json")
    (tmp_path / "config.json").write_text(config, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
