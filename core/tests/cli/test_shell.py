"""Exit codes, one-line errors, help, and the commands that need no hub."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint, version
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from perdure import errors
from perdure.cli._app import app
from perdure.cli._shell import explain
from perdure.config import describe_settings

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (
            errors.OrchestrationError("it failed: x", failure=errors.Failure("X", "x"), instance_id="o 1"),
            1,
            "it failed: x. `perdure show 'o 1'` shows the steps.",
        ),
        (errors.Misuse("Write it so."), 2, "Write it so."),
        (errors.AlreadyExists("It is taken.", instance_id="o"), 2, "It is taken."),
        (errors.Closed("It has ended."), 2, "It has ended."),
        (
            errors.NotFound("No instance 'o'.", instance_id="o"),
            3,
            "No instance 'o'. `perdure list` shows what is there.",
        ),
        (errors.Unavailable("No answer."), 4, "No answer. Nothing was changed: try again."),
        (errors.Unknown("No answer."), 4, "No answer."),
        (errors.Corrupt("Damaged."), 4, "Damaged."),
        (errors.TooNew("Too new."), 4, "Too new."),
        (TimeoutError("'o' is Running after 1 s; it goes on."), 5, "'o' is Running after 1 s; it goes on."),
        (ValueError("odd\n\x1b[2J"), 70, "unexpected error: ValueError: odd\\n\\x1b[2J (-v shows where)"),
    ],
)
def test_every_kind_of_error_has_its_exit_code_and_its_line(
    problem: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(problem, verbose=False) == code
    assert capsys.readouterr().err == f"perdure: {line}\n"


def test_ctrl_c_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(KeyboardInterrupt(), verbose=True) == 130
    assert capsys.readouterr().err == ""


def test_a_traceback_is_shown_only_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    explain(errors.Misuse("Write it so."), verbose=True)

    assert "errors.Misuse: Write it so.\nperdure: Write it so." in capsys.readouterr().err.replace("perdure.", "", 1)


@pytest.mark.parametrize("arguments", [["show", "-v", "o"], ["-v", "show", "o"]])
def test_v_is_taken_before_and_after_the_command(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERDURE_HUB", "no-url")

    result = runner.invoke(app, arguments)

    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith(
        "perdure: PERDURE_HUB 'no-url' has no scheme: write scheme:path, for example "
        "sqlite:.perdure or s3://bucket/prefix?region=eu-central-1.\n"
    )


def test_a_variable_asks_for_tracebacks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERDURE_TRACEBACK", "1")

    assert "Traceback" in runner.invoke(app, ["show", "o", "--hub", "nope"]).stderr
    monkeypatch.setenv("PERDURE_TRACEBACK", "0")
    assert "Traceback" not in runner.invoke(app, ["show", "o", "--hub", "nope"]).stderr


@pytest.mark.parametrize("name", sorted(app.commands))
def test_every_command_has_help_with_examples_at_80_columns(name: str) -> None:
    result = runner.invoke(app, [name, "--help"])

    assert result.exit_code == 0
    assert f"Usage: app {name}" in result.stdout
    assert f"\nExamples:\n  perdure {name}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_help_tells_commands_and_exit_codes() -> None:
    result = runner.invoke(app, ["--help"])

    listed = [
        line.split()[0]
        for line in result.stdout.partition("Commands:")[2].partition("Examples:")[0].splitlines()
        if line
    ]
    assert listed == app.list_commands(click.Context(app))
    assert all(f" {code}  " in result.stdout for code in (0, 1, 2, 3, 4, 5, 70, 130))
    assert "..." not in result.stdout.partition("Commands:")[2].partition("Examples:")[0]
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments", [["shwo"], ["list", "--limit", "-1"], ["list", "--status", "odd"], ["show"], ["worker"]]
)
def test_wrong_use_ends_with_2_and_points_to_the_help(arguments: list[str]) -> None:
    result = runner.invoke(app, arguments)

    assert result.exit_code == 2
    assert "--help" in result.stderr
    assert result.stdout == ""


def test_a_command_of_another_package_that_cannot_be_loaded_breaks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package says so by its name where the command is called, and the help is there."""
    broken = EntryPoint("broken", "no_such_module:command", "perdure.commands")
    monkeypatch.setitem(vars(app), "_plugged", {"broken": broken})

    assert "(Cannot be loaded.)" in runner.invoke(app, ["--help"]).output
    assert runner.invoke(app, ["providers"]).exit_code == 0
    called = runner.invoke(app, ["broken"])
    assert called.exit_code == 2
    assert "`broken`, which cannot be loaded: ModuleNotFoundError" in called.stderr
    assert "uninstall the package" in called.stderr


def test_the_version_is_that_of_core() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"{version('perdure-core')}\n"


def test_config_shows_what_holds_and_from_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERDURE_WORKER_THREADS_MAX", "4")
    (tmp_path / "perdure.toml").write_text('hub = "memory:"\n', "utf-8")

    lines = runner.invoke(app, ["config"]).stdout.splitlines()

    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    assert lines[1].split() == ["hub", "memory:", str(tmp_path / "perdure.toml")]
    assert ["worker.threads_max", "4", "PERDURE_WORKER_THREADS_MAX"] in [line.split() for line in lines]
    assert len(lines) == len(list(describe_settings())) + 1


def test_config_explains_every_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    explained = runner.invoke(app, ["config", "--explain"]).stdout
    objects = [json.loads(line) for line in runner.invoke(app, ["config", "--json"]).stdout.splitlines()]

    assert all(row.key in explained and row.env_var in explained for row in describe_settings())
    assert [each["key"] for each in objects] == [row.key for row in describe_settings()]
    assert all(each["meaning"] and each["from"] == "default" for each in objects)


def test_providers_shows_what_each_can_do() -> None:
    shown = runner.invoke(app, ["providers"])
    objects = [json.loads(line) for line in runner.invoke(app, ["providers", "--json"]).stdout.splitlines()]

    assert shown.exit_code == 0
    assert f"memory:  perdure-core {version('perdure-core')}" in shown.stdout
    (store,) = [each for each in objects if (each["scheme"], each["kind"]) == ("memory", "store")]
    assert store["distribution"] == "perdure-core"
    assert store["capabilities"]["payload_bytes_max"] > 0


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_libraries_it_says_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from perdure.cli import main; sys.exit(main())"

    done = subprocess.run([sys.executable, "-c", program, "list"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == f"perdure: the command line needs {missing}: pip install 'perdure-core[cli]'\n"
