"""Where settings come from, which source wins, and what is said about a wrong one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from perdure.config import Settings, explain_settings, load_settings
from perdure.errors import Misuse

if TYPE_CHECKING:
    from pathlib import Path

NOTHING: dict[str, str] = {}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a folder in it, where a command is given."""
    (tmp_path / "src" / "app").mkdir(parents=True)
    return tmp_path


def load(directory: Path, environ: dict[str, str] | None = None, **arguments: str) -> Settings:
    return load_settings(directory=directory, environ=environ or NOTHING, **arguments)


def test_without_any_source_the_hub_is_in_the_working_directory(project: Path) -> None:
    settings = load(project)

    assert settings == Settings(hub=f"sqlite:{project}/.perdure")


def test_a_file_is_found_in_a_folder_above_and_its_paths_are_relative_to_it(project: Path) -> None:
    (project / "perdure.toml").write_text('hub = "sqlite:data/hub"\n[worker]\nturns_max = 7\n', "utf-8")

    settings = load(project / "src" / "app")

    assert settings.hub == f"sqlite:{project}/data/hub"
    assert settings.worker.turns_max == 7


def test_the_nearest_file_is_the_only_one_read(project: Path) -> None:
    (project / "perdure.toml").write_text("[worker]\nturns_max = 7\n", "utf-8")
    (project / "src" / "perdure.toml").write_text("[worker]\nthreads_max = 3\n", "utf-8")

    worker = load(project / "src" / "app").worker

    assert (worker.turns_max, worker.threads_max) == (256, 3)


def test_pyproject_counts_where_it_has_our_table(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.perdure]\nhub = "sqlite:h"\nworker.turns = ["a"]\n', "utf-8")
    (project / "src" / "pyproject.toml").write_text("[tool.other]\nx = 1\n", "utf-8")

    settings = load(project / "src" / "app")

    assert settings.hub == f"sqlite:{project}/h"
    assert settings.worker.turns == ("a",)


def test_perdure_toml_is_read_before_pyproject_of_the_same_folder(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.perdure]\nhub = "sqlite:pyproject"\n', "utf-8")
    (project / "perdure.toml").write_text('hub = "sqlite:own"\n', "utf-8")

    assert load(project).hub == f"sqlite:{project}/own"


def test_arguments_win_over_the_environment_and_that_over_files(project: Path) -> None:
    (project / "perdure.toml").write_text('hub = "sqlite:file"\n[worker]\nlease_seconds = 5\n', "utf-8")
    environ = {"PERDURE_HUB": "sqlite:env", "PERDURE_WORKER_LEASE_SECONDS": "7.5"}

    assert load(project).hub == f"sqlite:{project}/file"
    assert load(project, environ).hub == f"sqlite:{project}/env"
    assert load(project, environ, hub="sqlite:arg").hub == f"sqlite:{project}/arg"
    assert load(project, environ).worker.lease_seconds == 7.5


def test_the_environment_sets_values_of_every_type(project: Path) -> None:
    environ = {
        "PERDURE_WORKER_TURNS": "orders, mail ,",
        "PERDURE_WORKER_THREADS_MAX": "3",
        "PERDURE_WORKER_DRAIN_SECONDS": "2",
        "PERDURE_WORKER_REPLAY_CHECK": "always",
    }

    worker = load(project, environ).worker

    assert (worker.turns, worker.threads_max) == (("orders", "mail"), 3)
    assert (worker.drain_seconds, worker.replay_check) == (2.0, "always")


def test_a_variable_that_is_set_to_nothing_is_not_set(project: Path) -> None:
    """Compose files write `PERDURE_HUB=${HUB:-}`."""
    assert load(project, {"PERDURE_HUB": ""}).hub == f"sqlite:{project}/.perdure"


def test_naming_a_hub_leaves_the_store_and_queue_of_weaker_sources_behind(project: Path) -> None:
    """Otherwise `--hub memory:` would still write to the store of perdure.toml."""
    (project / "perdure.toml").write_text('store = "sqlite:s"\nqueue = "memory:q"\n', "utf-8")

    assert (load(project).store, load(project).queue) == (f"sqlite:{project}/s", "memory:q")
    assert load(project, hub="memory:").store_url == "memory:"
    assert load(project, hub="memory:").queue is None
    assert load(project, {"PERDURE_QUEUE": "memory:r"}).store == f"sqlite:{project}/s"


def test_hub_and_store_of_one_source_contradict_each_other(project: Path) -> None:
    with pytest.raises(Misuse, match=r"argument: store and hub are both given, 'memory:b' and 'memory:a': keep one"):
        load(project, hub="memory:a", store="memory:b")


def test_a_hub_with_a_queue_apart_is_allowed(project: Path) -> None:
    settings = load(project, hub="sqlite:h", queue="memory:q")

    assert (settings.store_url, settings.queue) == (f"sqlite:{project}/h", "memory:q")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hubb = 1", "there is no setting 'hubb'; did you mean 'hub'?"),
        ("[worker]\nturn_max = 1", "there is no setting 'worker.turn_max'; did you mean 'worker.turns_max'?"),
        ("turns_max = 1", "there is no setting 'turns_max'; did you mean 'worker.turns_max'?"),
        ("[wroker]\nturns_max = 1", "there is no setting 'wroker'; did you mean 'worker'?"),
        ("zzzzzz = 1", "there is no setting 'zzzzzz'; known are hub, store, queue, worker.turns"),
        ("worker = 3", "worker is 3: make it a table"),
        ('hub = "./hub"', "hub './hub' has no scheme"),
        ("hub = 3", "hub is text, not int"),
        ('hub = "memory:"\nstore = "memory:"', "store and hub are both given"),
        ("[worker]\nthreads_max = 0", "worker.threads_max is 0: give a whole number from 1 to 1,000."),
        ('[worker]\nthreads_max = "4"', "worker.threads_max is '4': give a whole number"),
        ('[worker]\nturns = "default"', "worker.turns is 'default': give a list of different queue names"),
        ('[worker]\nreplay_check = "no"', 'worker.replay_check is \'no\': give "never" or "always".'),
        ("[worker]\nturns_max = ", "is no valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file_and_the_mend(project: Path, text: str, complaint: str) -> None:
    file = project / "perdure.toml"
    file.write_text(text, "utf-8")

    with pytest.raises(Misuse) as refused:
        load(project / "src")

    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)


def test_a_file_that_is_no_utf8_is_refused_by_name(project: Path) -> None:
    (project / "perdure.toml").write_bytes(b'hub = "sqlite:\xff"')

    with pytest.raises(Misuse, match=r"perdure\.toml is no valid TOML: .*utf-8"):
        load(project)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_refused_by_name(project: Path) -> None:
    (project / "perdure.toml").write_text("", "utf-8")
    (project / "perdure.toml").chmod(0)

    with pytest.raises(Misuse, match=r"perdure\.toml cannot be read"):
        load(project)


def test_a_table_of_ours_in_pyproject_that_is_none_is_refused(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool]\nperdure = 3\n", "utf-8")

    with pytest.raises(Misuse, match=r"pyproject\.toml: tool\.perdure is 3: make it a table"):
        load(project)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("PERDURE_WORKER_TURNS_MAX", "many", "PERDURE_WORKER_TURNS_MAX is 'many': give a whole number from 1 to"),
        ("PERDURE_WORKER_LEASE_SECONDS", "nan", "PERDURE_WORKER_LEASE_SECONDS is nan: give seconds from 0.1 to 43,200"),
        ("PERDURE_HUB", "hub", "PERDURE_HUB 'hub' has no scheme"),
        ("PERDURE_HUBB", "memory:", "PERDURE_HUBB is no setting; did you mean PERDURE_HUB?"),
        ("PERDURE_STROE", "memory:", "did you mean PERDURE_STORE?"),
        ("PERDURE_WORKR_TURNS", "a", "did you mean PERDURE_WORKER_TURNS?"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_with_the_variable(
    project: Path, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(Misuse) as refused:
        load(project, {name: text})

    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "PERDURE_PORT",
        "PERDURE_SERVICE_HOST",
        "PERDURE_WORKER_PORT",
        "PERDURE_WORKER_SERVICE_HOST",
        "PERDURE_WORKER_SERVICE_PORT",
        "PERDURE_WORKER_PORT_8080_TCP_ADDR",
        "PERDURE_TRACEBACK",
        "PERDURE_HOME",
    ],
)
def test_a_variable_that_resembles_no_setting_is_left_alone(project: Path, name: str) -> None:
    """Kubernetes names such variables after services called perdure and perdure-worker."""
    assert load(project, {name: "tcp://10.0.0.1:80"}) == load(project)


def test_it_can_be_told_where_each_value_came_from(project: Path) -> None:
    file = project / "perdure.toml"
    file.write_text('hub = "sqlite:x"\n[worker]\nturns_max = 7\n', "utf-8")

    loaded = explain_settings(directory=project, environ={"PERDURE_WORKER_THREADS_MAX": "3"}, queue="memory:")

    assert loaded.origins["hub"] == loaded.origins["worker.turns_max"] == str(file)
    assert loaded.origins["worker.threads_max"] == "PERDURE_WORKER_THREADS_MAX"
    assert loaded.origins["queue"] == "argument"
    assert loaded.origins["store"] == loaded.origins["worker.tasks"] == "default"


def test_the_working_directory_and_the_process_environment_are_asked_by_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("PERDURE_WORKER_TURNS_MAX", "9")

    settings = load_settings(hub="sqlite:x")

    assert settings.hub == f"sqlite:{project}/x"
    assert settings.worker.turns_max == 9
