"""Commands on a real hub, as processes: what they print, where, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from perdure import codec

if TYPE_CHECKING:
    from conftest import Project

pytest.importorskip("perdure_local", reason="needs a hub that several processes share: perdure-local")

pytestmark = pytest.mark.slow


def test_run_prints_the_result_and_nothing_else(project: Project) -> None:
    assert project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a") == '{"invoice":"INV-o-1"}\n'


def test_run_given_again_shows_the_result_and_repeats_nothing(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    assert project.ok("run", "shop:quick", "--id", "a") == '{"invoice":"INV-o-1"}\n'
    assert (project.folder / "ledger").read_text() == "o-1\n"


def test_run_given_again_with_an_input_says_that_the_recorded_one_counts(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    again = project.perdure("run", "shop:quick", "--input", '"o-2"', "--id", "a")

    assert (again.code, again.out) == (0, '{"invoice":"INV-o-1"}\n')
    assert again.err == "perdure: a exists; it goes on with the input that is recorded\n"


def test_run_does_not_take_an_id_of_another_orchestration(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    taken = project.perdure("run", "shop:invoicing", "--input", '"o-1"', "--id", "a")

    assert taken.code == 2
    assert taken.err == "perdure: 'a' is taken by 'quick', which is Completed: choose another id.\n"


def test_run_without_an_id_tells_the_one_it_made_up(project: Project) -> None:
    done = project.perdure("run", "shop:quick", "--input", "-", input='"o-1"')

    assert (done.code, done.out) == (0, '{"invoice":"INV-o-1"}\n')
    assert done.err.startswith("perdure: started ")
    instance_id = done.err.split()[-1]
    assert project.ok("result", instance_id) == '{"invoice":"INV-o-1"}\n'


def test_run_serves_the_queues_that_the_module_names_with_a_fixed_hash_seed(project: Project) -> None:
    """`mail` is of another queue than the default. What it prints is the user's, on stdout."""
    done = project.perdure("run", "shop:mailing", "--input", '"o-1"')

    assert (done.code, done.out) == (0, 'mailed o-1\n"0"\n')


def test_run_that_fails_ends_with_1_and_one_line(project: Project) -> None:
    for arguments in (["run", "shop:failing", "--input", '"o-1"', "--id", "a b"], ["result", "a b"]):
        failed = project.perdure(*arguments)
        assert (failed.code, failed.out) == (1, "")
        assert failed.err == (
            "perdure: Orchestration 'failing' (a b) failed: RuntimeError: no stock\\nat all. "
            "`perdure show 'a b'` shows the steps.\n"
        )


def test_run_that_takes_too_long_says_how_to_go_on(project: Project) -> None:
    late = project.perdure(
        "run", "shop:invoicing", "--input", '"o-1"', "--id", "a b", "--timeout", "0.1", "--hub", "sqlite:h"
    )

    assert (late.code, late.out) == (5, "")
    assert late.err.splitlines()[-1].endswith("; it goes on with: perdure run shop:invoicing --id 'a b' --hub=sqlite:h")


def test_start_send_and_result_with_run_in_between(project: Project) -> None:
    assert project.ok("start", "shop:invoicing", "--input", '"o-1"', "--id", "a") == "a\n"
    assert project.perdure("result", "a", "--timeout", "0").code == 5
    assert project.ok("send", "a", "payment", "12") == ""

    assert project.ok("run", "shop:invoicing", "--id", "a") == "12\n"
    assert project.ok("result", "a") == "12\n"
    late = project.perdure("send", "a", "payment", "12")
    assert (late.code, late.err) == (2, "perdure: The instance 'a' is Completed: it reads no more events.\n")


def test_start_may_return_the_instance_that_exists(project: Project) -> None:
    start = ("start", "shop:quick", "--input", '"o-1"', "--id", "a")
    project.ok(*start)

    assert project.perdure(*start).code == 2
    assert json.loads(project.ok(*start, "--if-exists", "return", "--json")) == {
        "id": "a",
        "orchestration": "quick",
        "status": "Pending",
    }


def test_input_that_does_not_fit_is_refused_before_anything_is_recorded(project: Project) -> None:
    wrong = project.perdure("start", "shop:quick", "--input", "[1]", "--id", "a")

    assert wrong.code == 2
    assert "Parameter 'order' of quick()" in wrong.err
    assert project.perdure("show", "a").code == 3


@pytest.mark.parametrize(
    "command", [["show", "nobody"], ["history", "nobody"], ["result", "nobody"], ["send", "nobody", "payment"]]
)
def test_an_instance_that_is_not_there_ends_with_3(project: Project, command: list[str]) -> None:
    missing = project.perdure(*command)

    assert (missing.code, missing.out) == (3, "")
    assert missing.err == (
        f"perdure: No instance 'nobody' in sqlite:{project.folder}/.perdure. `perdure list` shows what is there.\n"
    )


def test_list_shows_what_fits_every_condition(project: Project) -> None:
    for instance_id, tag in (("a", "x=1"), ("b-1", "x=1"), ("b-2", "x=2")):
        project.ok("start", "shop:quick", "--input", '"o"', "--id", instance_id, "--tag", tag)
    project.perdure("run", "shop:failing", "--input", '"o"', "--id", "c")

    def listed(*arguments: str) -> list[str]:
        return [json.loads(line)["id"] for line in project.ok("list", "--json", *arguments).splitlines()]

    assert listed() == ["a", "b-1", "b-2", "c"]
    assert listed("--prefix", "b-", "--tag", "x=1") == ["b-1"]
    assert listed("--status", "failed") == listed("--name", "failing") == ["c"]
    assert listed("--limit", "2") == ["a", "b-1"]
    assert listed("--stalled") == []


def test_list_is_a_table_that_can_be_cut_by_columns(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o"', "--id", "long-" * 30)

    head, row = project.ok("list").splitlines()

    assert head.split() == ["ID", "ORCHESTRATION", "STATUS", "CREATED", "UPDATED"]
    assert row.split()[:3] == ["long-" * 30, "quick", "Completed"]
    assert row.endswith(" ago")


def test_list_of_nothing_is_its_head(project: Project) -> None:
    assert project.ok("list").split() == ["ID", "ORCHESTRATION", "STATUS", "CREATED", "UPDATED"]
    assert project.ok("list", "--json") == ""


def test_show_draws_the_steps_without_colour_into_a_pipe(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    lines = project.ok("show", "a").splitlines()

    assert lines[0].startswith("a  quick  Completed in ")
    assert lines[2:4] == ['input      ["o-1"]', 'result     {"invoice": "INV-o-1"}']
    assert lines[-1].startswith("✓ issue ")
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= 80


def test_show_has_colours_where_they_are_asked_for_and_not_refused(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")
    project.environ["FORCE_COLOR"] = "1"

    coloured = project.ok("show", "a")
    project.environ["NO_COLOR"] = "1"
    plain = project.ok("show", "a")

    assert "\x1b[32m✓" in coloured
    assert "\x1b[32m" not in plain


def test_show_uses_what_the_output_can_show(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"ö"', "--id", "ö")
    project.environ["PYTHONIOENCODING"] = "ascii"

    shown = project.ok("show", "ö")

    assert shown.isascii()
    assert "\n+ issue " in shown
    assert shown.startswith("\\xf6  quick")


def test_show_as_json_tells_the_steps(project: Project) -> None:
    project.perdure("run", "shop:failing", "--input", '"o-1"', "--id", "f")
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    shown, failed = (json.loads(project.ok("show", instance_id, "--json")) for instance_id in "af")

    assert (shown["id"], shown["status"], shown["input"], shown["waits_for"]) == ("a", "Completed", ["o-1"], [])
    assert shown["result"] == {"invoice": "INV-o-1"}
    (step,) = shown["steps"]
    assert (step["kind"], step["name"], step["state"], step["attempts"]) == ("activity", "issue", "done", 1)
    assert step["began_at"] <= step["ended_at"]
    assert failed["failure"]["type"] == "RuntimeError"
    assert failed["failure"]["cause"]["message"] == "'o-1'"


def test_history_has_a_line_per_event(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    day, *lines = project.ok("history", "a").splitlines()

    assert len(day) == len("2026-01-31")
    assert [line.split("  ", 3)[-1].partition(" on ")[0].strip() for line in lines] == [
        'started quick with ["o-1"]',
        "turn",
        '#1 asked for activity issue with ["o-1"]',
        "turn",
        '#1 returned "INV-o-1"',
        'completed with {"invoice": "INV-o-1"}',
    ]
    assert [line.split()[0] for line in lines] == ["-", "1", "1", "2", "2", "2"]


def test_history_as_json_can_be_read_back(project: Project) -> None:
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")

    exported = project.ok("history", "a", "--json")

    records = list(codec.import_lines(exported.splitlines()))
    assert "".join(f"{line}\n" for line in codec.export_lines(records)) == exported
    assert [record.version for record in records] == sorted({record.version for record in records})
    assert len(records) == 3


def test_history_follows_until_the_instance_ends(project: Project) -> None:
    project.ok("start", "shop:invoicing", "--input", '"o-1"', "--id", "a")
    following = project.begin("history", "a", "--follow")
    project.ok("send", "a", "payment", "12")
    project.ok("run", "shop:invoicing", "--id", "a")

    out, err = following.communicate(timeout=60)

    assert (following.returncode, err) == (0, "")
    assert out == project.ok("history", "a")
    assert out.splitlines()[-1].endswith("completed with 12")


def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    """`perdure history a | head -1`: silence, not a traceback."""
    project.ok("run", "shop:quick", "--input", '"o-1"', "--id", "a")
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "perdure", "history", "a"],
        cwd=project.folder,
        env=project.environ,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, b"")


def test_a_hub_of_an_unknown_scheme_says_what_to_install(project: Project) -> None:
    unknown = project.perdure("list", "--hub", "s3://bucket")

    assert unknown.code == 2
    assert "pip install --upgrade perdure-aws" in unknown.err
    assert unknown.err.count("\n") == 1


def test_an_instance_without_code_stalls_in_sight(project: Project) -> None:
    """The module that started it is renamed: nothing is lost, and everybody can see why nothing happens."""
    project.ok("start", "shop:quick", "--input", '"o-1"', "--id", "a")
    (project.folder / "other.py").write_text((project.folder / "shop.py").read_text().replace("def quick", "def slow"))
    project.perdure("run", "other:slow", "--input", '"o-2"', "--id", "b")

    assert [json.loads(line)["id"] for line in project.ok("list", "--stalled", "--json").splitlines()] == ["a"]
    assert "waits for a worker that knows orchestration 'quick'" in project.ok("list")
    assert "stalled    waits for a worker that knows orchestration 'quick'" in project.ok("show", "a")
    assert project.ok("run", "shop:quick", "--id", "a") == '{"invoice":"INV-o-1"}\n'


def test_the_demo_runs_on_any_hub_beside_what_is_there(project: Project) -> None:
    for _ in range(2):
        assert "NOT SO" not in project.ok("demo", "--hub", "file:shared")

    orders = project.ok("list", "--hub", "file:shared", "--status", "completed", "--json").splitlines()
    assert len({json.loads(order)["id"] for order in orders}) == 6
