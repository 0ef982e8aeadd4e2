"""`run` and `worker` as processes: how they begin, stop, and go on after they were stopped or killed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

pytest.importorskip("perdure_local", reason="needs a hub that several processes share: perdure-local")

pytestmark = pytest.mark.slow

START = ("--input", '"o-1"', "--id", "a")


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def let_go(project: Project) -> None:
    """Let the activity that is held come to its end."""
    (project.folder / "o-1.go").touch()


def ledger(project: Project) -> str:
    return (project.folder / "ledger").read_text("utf-8")


def test_a_worker_says_once_what_it_serves_and_runs_what_others_start(project: Project) -> None:
    worker = project.begin("worker", "shop", "--tasks", "default", "--tasks", "mail")

    assert first_line(worker) == (
        f"perdure: worker on sqlite:{project.folder}/.perdure: 5 orchestrations, 3 activities; "
        "turns default; tasks default, mail\n"
    )
    project.ok("start", "shop:mailing", *START)
    assert project.ok("result", "a") == '"0"\n'  # PYTHONHASHSEED of the worker

    worker.send_signal(signal.SIGTERM)
    assert finish(worker) == (0, "mailed o-1\n", "perdure: stopping: running steps have 10 s; again stops at once\n")


def test_a_workers_own_process_looks_for_garbage_seldom(project: Project) -> None:
    (project.folder / "collecting.py").write_text(
        "import gc\nimport perdure\n\n@perdure.activity\nasync def look() -> int:\n    return gc.get_threshold()[0]\n\n"
        "@perdure.orchestration\nasync def looking() -> int:\n    return await look()\n"
    )
    worker = project.begin("worker", "collecting")
    first_line(worker)

    project.ok("start", "collecting:looking", "--id", "a")

    assert project.ok("result", "a") == "50000\n"


def test_a_worker_says_what_it_leaves_to_others(project: Project) -> None:
    worker = project.begin("worker", "shop")
    first_line(worker)

    assert first_line(worker) == "perdure: tasks of mail are left to other workers; --tasks NAME serves them\n"


def test_workers_of_one_kind_of_queue_share_the_work(project: Project) -> None:
    turns = project.begin("worker", "shop", "--no-tasks")
    tasks = project.begin("worker", "shop", "--no-turns")

    assert first_line(turns).endswith("; turns default; tasks -\n")
    assert first_line(tasks).endswith("; turns -; tasks default\n")
    project.ok("start", "shop:quick", *START)
    assert project.ok("result", "a") == '{"invoice":"INV-o-1"}\n'


def test_a_worker_that_serves_nothing_is_wrong_use(project: Project) -> None:
    nothing = project.perdure("worker", "shop", "--no-turns", "--no-tasks")

    assert (nothing.code, nothing.out) == (2, "")
    assert "serves nothing" in nothing.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_worker_that_is_told_to_stop_lets_running_steps_end(
    project: Project, number: signal.Signals, code: int
) -> None:
    """A deploy must not repeat what was nearly done."""
    worker = project.begin("worker", "shop")
    project.ok("start", "shop:held", *START)
    project.wait_for("o-1.held")

    worker.send_signal(number)
    first_line(worker)
    first_line(worker)
    assert first_line(worker).startswith("perdure: stopping: ")
    let_go(project)
    assert finish(worker)[0] == code

    steps = project.ok("show", "a")
    assert "✓ hold" in steps


def test_a_second_signal_stops_at_once_and_nothing_recorded_is_lost(project: Project) -> None:
    project.environ["PERDURE_WORKER_DRAIN_SECONDS"] = "3600"
    stuck = project.begin("run", "shop:held", *START)
    project.wait_for("o-1.held")

    stuck.send_signal(signal.SIGINT)
    assert first_line(stuck) == "perdure: stopping: running steps may end; Ctrl-C again stops at once\n"
    stuck.send_signal(signal.SIGINT)
    code, out, err = finish(stuck)

    assert (code, out) == (130, "")
    assert err == "perdure: stopped at once; other workers take over when its leases end\n"
    let_go(project)
    assert project.ok("run", "shop:held", "--id", "a") == '"held"\n'
    assert ledger(project) == "o-1\n"


def test_an_activity_in_a_thread_does_not_keep_a_stopped_process(project: Project) -> None:
    """Python waits for threads when it ends; this one was given back and would hold up a deploy for ever."""
    project.environ["PERDURE_WORKER_DRAIN_SECONDS"] = "0"
    worker = project.begin("worker", "shop")
    project.ok("start", "shop:held", *START)
    project.wait_for("o-1.held")

    worker.send_signal(signal.SIGTERM)

    assert finish(worker)[0] == 0
    let_go(project)
    assert project.ok("run", "shop:held", "--id", "a") == '"held"\n'


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_that_is_stopped_says_how_to_go_on(project: Project, number: signal.Signals, code: int) -> None:
    running = project.begin("run", "shop:invoicing", *START)
    project.wait_for("ledger")

    running.send_signal(number)

    ended, out, err = finish(running)
    assert (ended, out) == (code, "")
    assert err.splitlines()[-1] == "perdure: a is Running; it goes on with: perdure run shop:invoicing --id a"
    project.ok("send", "a", "payment", "12")
    assert project.ok("run", "shop:invoicing", "--id", "a") == "12\n"
    assert ledger(project) == "o-1\n"


@pytest.mark.slow
def test_run_that_was_killed_goes_on_when_it_is_given_again(project: Project) -> None:
    """The promise in short: what is recorded is not repeated, what was under way is."""
    killed = project.begin("run", "shop:held", *START)
    project.wait_for("o-1.held")
    killed.send_signal(signal.SIGKILL)
    assert finish(killed) == (-signal.SIGKILL, "", "")

    let_go(project)

    assert project.ok("run", "shop:held", "--id", "a") == '"held"\n'
    assert ledger(project) == "o-1\n"


def test_run_on_a_terminal_shows_the_steps_and_a_pipe_gets_the_result_alone(project: Project) -> None:
    screen, terminal = pty.openpty()
    arguments = [sys.executable, "-m", "perdure", "run", "shop:quick", *START]
    environ = {**project.environ, "TERM": "xterm", "COLUMNS": "80"}
    running = subprocess.Popen(
        arguments, cwd=project.folder, env=environ, stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    shown = b"".join(iter(lambda: read_screen(screen), b""))

    assert running.communicate(timeout=60)[0] == '{"invoice":"INV-o-1"}\n'
    assert "✓\x1b[0m issue" in shown.decode()


def read_screen(screen: int) -> bytes:
    try:
        return os.read(screen, 4_096)
    except OSError:  # the process has closed its end
        return b""
