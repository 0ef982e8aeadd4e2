"""The systems that peers.py measures: their versions in one table, and the environment that each gets."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
ROOT = SCRIPTS.parents[1]
INSTALL_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class System:
    """A system to measure.

    Attributes:
        script: Its program in `_peers/`.
        python: What is installed for it, exactly these versions.
        npm: Packages of npm that it needs besides.
        variants: Ways to write its workflows; the first round runs all and chooses, run by run.
        lacks: Workloads that a variant does not have.
        durability: What it does to keep what it says it has kept, as shipped.
        program: Environment variable that tells the script where a program of an npm package is, and the pattern of it.
    """

    script: str
    python: tuple[str, ...]
    variants: tuple[str, ...]
    durability: str
    npm: tuple[str, ...] = ()
    lacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    program: tuple[str, str] | None = None


SYSTEMS = {
    "perdure": System(
        script="perdure_w.py",
        python=("-c", "constraints.txt", "-e", "core", "-e", "providers/local"),
        variants=("async",),
        durability="SQLite, write-ahead log, synchronous = FULL",
    ),
    "dbos": System(
        script="dbos_w.py",
        python=("dbos==3.4.0",),
        variants=("def", "async"),
        lacks={"def": ("W3",)},
        durability="SQLite, rollback journal, synchronous = FULL (SQLite's defaults: it sets neither)",
    ),
    "restate": System(
        script="restate_w.py",
        python=("restate-sdk==1.3.0", "hypercorn==0.18.0", "aiohttp==3.14.5"),
        npm=("@restatedev/restate-server@1.7.12",),
        variants=("async",),
        durability="RocksDB, write-ahead log of the log server with fsync",
        program=("PERDURE_PEERS_RESTATE_SERVER", "node_modules/@restatedev/restate-server-*/bin/restate-server"),
    ),
}
PLOT = ("matplotlib==3.11.2",)
"""What draws the plot, in an environment of its own as well."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a system's script runs in: a Python, variables on top of this process's, installed versions."""

    python: Path
    variables: dict[str, str]
    versions: list[str]


def make_environment(folder: Path, python: tuple[str, ...], npm: tuple[str, ...] = ()) -> list[str]:
    """Install packages into a folder; what is there already in the same versions is kept.

    Returns:
        The installed packages with their versions.

    Raises:
        FileNotFoundError: A tool is missing. Leave the system out, and say why.
        SubprocessError: A tool failed or took too long. The same.
    """
    wanted = json.dumps([sys.version, str(ROOT), python, npm])
    note = folder / "installed.json"
    interpreter = str(interpreter_of(folder))
    if not note.exists() or note.read_text("utf-8") != wanted:
        # Only an environment is made anew: older uv clears any folder of that name, whatever it holds.
        clear = ("--clear",) if (folder / "pyvenv.cfg").exists() else ()
        call(*find_uv(), "venv", "-q", *clear, "--python", sys.executable, str(folder))
        install = (*find_uv(), "pip", "install", "-q", "--compile-bytecode", "--python", interpreter)
        call(*install, *python, timeout=INSTALL_SECONDS_MAX)
        if npm:
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            call("npm", "install", *quiet, "--prefix", str(folder), *npm, timeout=INSTALL_SECONDS_MAX)
        note.write_text(wanted, "utf-8")
    return [*call(*find_uv(), "pip", "freeze", "-q", "--python", interpreter).splitlines(), *npm]


def interpreter_of(folder: Path) -> Path:
    """Name the Python of an environment."""
    return folder / "bin" / "python"


def find_uv() -> tuple[str, ...]:
    """Take uv from PATH, or the module of this Python."""
    return ("uv",) if shutil.which("uv") else (sys.executable, "-m", "uv")


def call(*command: str, timeout: float = 120.0) -> str:
    """Run a tool from the root of the checkout.

    Returns:
        What it printed.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=True)
    return done.stdout


def prepare(name: str, environments: Path) -> Environment:
    """Make a system ready to run.

    Raises:
        FileNotFoundError: A tool or its program is missing here. Leave the system out, and say why.
        SubprocessError: A tool failed or took too long. The same.
    """
    system = SYSTEMS[name]
    folder = environments / name
    versions = make_environment(folder, system.python, system.npm)
    variables = {}
    if system.program:
        variable, pattern = system.program
        found = sorted(folder.glob(pattern))
        if not found:
            raise FileNotFoundError(f"There is no {pattern} in {folder}: npm has no build of it for this machine.")
        variables[variable] = str(found[0])
    return Environment(interpreter_of(folder), variables, versions)


def explain(problem: Exception) -> str:
    """Say what went wrong with the last words of the tool."""
    output = getattr(problem, "stderr", None) or ""
    last = output.decode(errors="replace") if isinstance(output, bytes) else output
    return f"{problem} {last.strip()[-1500:]}".strip()
