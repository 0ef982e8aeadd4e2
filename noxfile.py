"""Every check of the project by name: `uv run nox -l` is the index, `uv run nox` runs the ones that must pass.

One tool per question, one session per tool. All settings live in the root pyproject.toml; what each session installs is
a dependency group there, at the versions of constraints.txt. No session downloads an interpreter.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13")
PACKAGES = {
    "core": "core",
    "local": "providers/local",
    "aws": "providers/aws",
    "conformance": "conformance_tests",
    "servicebus-emulator": "conformance_tests/servicebus_emulator",
}
EMULATORS = ("ministack", "localstack")
PURE = ("replay", "engine", "spi")
PACKAGES_MAX = 10  # What `pip install perdure` may install, our own three counted.

os.environ.update({"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"})
nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # A missing Python is reported by name and skipped, on CI too.
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "imports", "docs", "build", "alone", "aws", "emulator", "tests"]


# ── what the sessions share ──────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def interpreter(version: str) -> str:
    """Find a Python that really runs: a name on PATH may be a version manager's stub that only prints advice.

    Args:
        version: Such as "3.12".

    Returns:
        The path of the interpreter; where there is none, `version` itself, which nox then reports as not found.
    """
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = [Path(folder) / f"python{version}" for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    newest_first = sorted(managed.glob(f"{version}.*/bin/python"), key=_patch_number, reverse=True)
    for candidate in (Path(sys.executable), *named, *newest_first):
        if candidate.exists() and (found := _answer(candidate, version)):
            return found
    return version


def _patch_number(python: Path) -> int:
    patch = re.match(r"\d+", python.parts[-3].split(".")[2])
    return int(patch.group()) if patch else 0


def _answer(python: Path, version: str) -> str | None:
    program = "import os, sys; print('%d.%d' % sys.version_info[:2], os.path.realpath(sys.executable))"
    try:
        done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    answered, _, path = done.stdout.strip().partition(" ")
    return path if answered == version else None


def install(session: nox.Session, *requirements: str, groups: tuple[str, ...]) -> None:
    """Make the session's environment exactly this: dependency groups and editable packages of ours, pinned."""
    wanted = [argument for group in groups for argument in ("--group", f"{ROOT}/pyproject.toml:{group}")]
    ours = [argument for requirement in requirements for argument in ("--editable", requirement)]
    session.run_install("uv", "pip", "install", "--quiet", "--exact", "-c", "constraints.txt", *wanted, *ours)


def install_everything(session: nox.Session, *groups: str) -> None:
    """Install all our packages, as `pip install perdure` would, editable."""
    install(session, ".", "core[cli]", "providers/local", "conformance_tests", groups=groups)


def replayers(session: nox.Session) -> dict[str, str]:
    """Make one environment per installed Python in which recorded histories are replayed, and tell tests where."""
    pythons = []
    for version in PYTHONS:
        if (found := interpreter(version)) != version:
            place = ROOT / ".nox" / f"replay-{version}"
            session.run_install("uv", "venv", "--quiet", "--allow-existing", "--python", found, str(place))
            python = str(place / "bin" / "python")
            pinned = ("-c", "constraints.txt", "msgspec", "pluggy")
            session.run_install("uv", "pip", "install", "--quiet", "--python", python, *pinned)
            pythons.append(python)
    return {"PERDURE_TEST_PYTHONS": os.pathsep.join(pythons)}


def workers(session: nox.Session) -> list[str]:
    """Two test processes, unless the caller chooses: `nox -s tests -- -n 0 -k name`."""
    return [] if "-n" in session.posargs else ["-n", "2", "--dist", "loadgroup"]


# ── checks that read ─────────────────────────────────────────────────────────────────────────────────────────────────


@nox.session
def lint(session: nox.Session) -> None:
    """Style and mistakes: ruff's rules and its formatter (mend with `nox -s format`)."""
    install(session, groups=("lint",))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check", "--diff")


@nox.session(default=False, name="format")
def format_(session: nox.Session) -> None:
    """Mend what ruff can mend, then format."""
    install(session, groups=("lint",))
    session.run("ruff", "check", "--fix", *session.posargs, success_codes=[0, 1])
    session.run("ruff", "format")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy and pyright, both strict, over sources and right and wrong uses of the API."""
    install(session, ".", "core[cli]", *list(PACKAGES.values())[1:], groups=("types", "test", "aws", "servicebus"))
    sources = [f"{PACKAGES[name]}/src" for name in ("core", "local", "aws", "servicebus-emulator")]
    session.run("mypy", *sources, "core/tests/typing")
    session.run("pyright", "--warnings")


@nox.session
def imports(session: nox.Session) -> None:
    """Architecture: who may import whom (import-linter's contracts)."""
    install(session, ".", "core[cli]", *list(PACKAGES.values())[1:], groups=("lint",))
    session.run("lint-imports", "--no-logo", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Documentation: Sphinx where a broken reference fails, doctests, names of change notes."""
    install_everything(session, "docs")
    strictly = ("-n", "-W", "--keep-going", "-q", "-E")
    session.run("sphinx-build", *strictly, "-b", "html", "docs", "docs/_build/html")
    session.run("sphinx-build", *strictly, "-b", "doctest", "docs", "docs/_build/doctest")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


# ── checks that run ──────────────────────────────────────────────────────────────────────────────────────────────────


@nox.session
@nox.parametrize("python", [nox.param(interpreter(version), id=version) for version in PYTHONS])
def tests(session: nox.Session) -> None:
    """All tests, on each Python that is installed; arguments go to pytest: `nox -s "tests(3.11)" -- -k timer`.

    Tests that kill processes or let real time pass run on the oldest one that is installed.
    """
    install_everything(session, "test")
    oldest = next(found for version in PYTHONS if (found := interpreter(version)) != version)
    some = [] if session.python == oldest or session.posargs else ["-m", "not slow"]
    session.run("pytest", *workers(session), *some, *session.posargs, env=replayers(session))


@nox.session
@nox.parametrize("package", [nox.param(name, id=name) for name in ("core", "local")])
def alone(session: nox.Session, package: str) -> None:
    """One package's quick tests, with nothing of ours but it and the suite; the command line is an extra, left out.

    For core, branch coverage as well, in replay, engine and spi: 98 % each, at most five excluded lines.
    """
    install(session, PACKAGES[package], "conformance_tests", groups=("test",))
    quick = ("-m", "not slow", "--ignore=core/tests/cli")
    measured = ("--cov", "--cov-report=") if package == "core" else ()
    session.run("pytest", *workers(session), *quick, *measured, f"{PACKAGES[package]}/tests")
    for layer in PURE if package == "core" else ():
        sources = f"core/src/perdure/{layer}/*.py,core/src/perdure/{layer}/*/*.py"
        session.run("coverage", "report", "--fail-under=98", f"--include={sources}")
    if package == "core":
        session.run("python", ".ci/excluded_lines.py", *(f"core/src/perdure/{layer}" for layer in PURE))


@nox.session
@nox.parametrize("emulator", [nox.param(name, id=name) for name in EMULATORS])
def aws(session: nox.Session, emulator: str) -> None:
    """The AWS provider against an emulator that the tests start; on the second one, the contracts of store and queue.

    Orchestrations and kills take longer: `nox -s "aws(ministack)" -- -k "test_hub or test_torture"`.
    """
    install(session, "core[cli]", "providers/local", "providers/aws", "conformance_tests", groups=("test", "aws"))
    chosen = "not test_hub and not test_torture" if emulator == EMULATORS[0] else "test_conformance"
    some = session.posargs or ["-k", chosen]
    env = {"PERDURE_AWS_EMULATOR": emulator}
    session.run("pytest", *workers(session), *some, "providers/aws/tests", env=env)


@nox.session
def emulator(session: nox.Session) -> None:
    """The Service Bus emulator with the SDK that it is made for."""
    install(session, "conformance_tests/servicebus_emulator", groups=("test", "servicebus"))
    # The SDK sleeps most of the time.
    some = [] if "-n" in session.posargs else ["-n", "6"]
    session.run("pytest", *some, *session.posargs, "conformance_tests/servicebus_emulator/tests")


@nox.session
def build(session: nox.Session) -> None:
    """Sdist and wheel of each package; the wheels in a fresh environment give a `perdure` that starts."""
    made, fresh = Path(session.create_tmp()) / "dist", Path(session.create_tmp()) / "fresh"
    shutil.rmtree(made, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--build-constraints", "constraints.txt", "-o", str(made))
    session.run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(fresh))
    what_users_get = ("perdure-", "perdure_core-", "perdure_local-")
    wheels = sorted(str(wheel) for wheel in made.glob("*.whl") if wheel.name.startswith(what_users_get))
    session.run("uv", "pip", "install", "--quiet", "--python", str(fresh), "-c", "constraints.txt", *wheels)
    listed = session.run("uv", "pip", "list", "--quiet", "--python", str(fresh), "--format", "freeze", silent=True)
    installed = str(listed).split()
    session.log(f"{len(installed)} packages: {' '.join(installed)}")
    if len(installed) > PACKAGES_MAX:
        session.error(f"A user gets {len(installed)} packages, {PACKAGES_MAX} are allowed.")
    session.run(str(fresh / "bin" / "perdure"), "--help", external=True)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measurements: every script in benchmarks/, or the ones named."""
    install_everything(session, "test")
    scripts = session.posargs or sorted(map(str, Path("benchmarks").glob("[!_]*.py")))
    if not scripts:
        session.skip("benchmarks/ holds no script")
    for script in scripts:
        session.run("python", script)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Planted faults: each must be caught by a test of its clause or rule."""
    install_everything(session, "test")
    session.run("python", "-m", "perdure_mutants", *session.posargs, env={"PYTHONPATH": "conformance_tests/mutants"})


@nox.session(default=False)
def constraints(session: nox.Session) -> None:
    """Write constraints.txt anew: the newest version of everything that any session installs."""
    projects = ["pyproject.toml", *(f"{folder}/pyproject.toml" for folder in PACKAGES.values())]
    ours = [
        a for name in ("perdure", "perdure-core", "perdure-local", "perdure-aws") for a in ("--no-emit-package", name)
    ]
    options = ["--universal", "--no-annotate", "--no-header", "--upgrade", "--all-extras", *ours]
    named = nox.project.load_toml("pyproject.toml")["dependency-groups"]
    groups = [argument for name in named for argument in ("--group", name)]
    session.run("uv", "pip", "compile", "--quiet", *options, *groups, *projects, "-o", "constraints.txt", external=True)
