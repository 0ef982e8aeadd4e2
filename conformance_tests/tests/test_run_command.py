"""`perdure conformance run`, on the providers that are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Misuse
from perdure_conformance._run.urls import harness_of, template_of
from perdure_conformance.material import ORDER, creation, listed

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("click")
pytest.importorskip("rich")

LIMIT_SECONDS = 100


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    command = [sys.executable, "-m", "perdure_conformance", "run", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


def test_every_contract_is_run_on_urls_and_the_report_is_json(tmp_path: Path) -> None:
    some = ("--", "-k", "h1_ or q11 or c2 or test_an_empty")
    done = run("--store", "memory:", "--json", "--report", "out", *some, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    (backend,) = report["backends"]
    assert backend["harness"].endswith(".memory")
    passed = {clause["id"]: clause["passed"] for clause in backend["clauses"]}
    assert all(passed[clause] for clause in ("H1", "Q11", "C2"))
    assert passed["C2"]
    assert report["profile"] == "quick"


@pytest.mark.slow
def test_a_broken_clause_ends_with_1_and_wrong_use_with_2(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file, and no folder", "utf-8")

    broken = run("--store", "file:here", "--", "-k", "h1_a_client_may", "-x", folder=tmp_path)
    wrong = run("--store", "odd:x/{unique}", "--queue", "memory:", folder=tmp_path)

    assert broken.returncode == 1
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("perdure: ")
    assert "odd" in wrong.stderr


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("memory:", "memory:{unique}"),
        ("memory:mine", "memory:{unique}"),
        ("sqlite:", "sqlite:{unique}"),
        ("file:/srv/hub/", "file:/srv/hub/{unique}"),
        ("sqlite:hub?fsync=full", "sqlite:hub/{unique}?fsync=full"),
        ("s3://bucket/{unique}?region=x", "s3://bucket/{unique}?region=x"),
    ],
)
def test_each_test_gets_a_place_of_its_own(url: str, template: str) -> None:
    assert template_of(url) == template


def test_a_place_that_cannot_differ_is_refused() -> None:
    with pytest.raises(Misuse, match=r"each test needs an empty one: .* for example s3://bucket/\{unique\}"):
        template_of("s3://bucket")


@pytest.mark.parametrize("store", ["sqlite:{unique}", "sqlite:PLACE/{unique}", "file:PLACE/{unique}"])
async def test_two_harnesses_share_nothing_and_leave_nothing(store: str, tmp_path: Path) -> None:
    pytest.importorskip("perdure_local")
    place = tmp_path / "place"
    url = store.replace("PLACE", str(place))
    kind = harness_of(url, url)
    assert kind.moment == 0.2

    async with kind(tmp_path / "one") as one, kind(tmp_path / "two") as two:
        stores = [await one.open_store(), await one.open_store(), await two.open_store()]
        await stores[0].append(creation(ORDER))
        assert [await listed(opened) for opened in stores] == [[ORDER], [ORDER], []]

    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
