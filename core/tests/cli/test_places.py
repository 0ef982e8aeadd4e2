"""`perdure provision`, `doctor` and `cost`: what they say of a place, as processes."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

ACME = """
    from collections import Counter

    from msgspec import structs
    from perdure.memory import MemoryQueue, MemoryStore
    from perdure.spi import (
        Administration, Committed, Conflict, Finding, Measure, OutboxCommitter, Unavailable, provider
    )

    class Store(MemoryStore):
        def __init__(self, location, environment):
            super().__init__(location, environment)
            self.requests = Counter()

        async def append(self, append):
            self.requests["put"] += 1
            return await super().append(append)

    class LooseStore(MemoryStore):
        async def append(self, append):
            await super().append(append)
            return Committed(append.version)

    class ReadOnlyStore(MemoryStore):
        capabilities = structs.replace(MemoryStore.capabilities, server_time=True)

        async def append(self, append):
            raise Unavailable("acme:Put is not allowed.")

    class BusyStore(MemoryStore):
        async def append(self, append):
            return Conflict(99)

    class Acme(Administration):
        def __init__(self, location, environment):
            self.bucket = location.path

        async def provision(self, queues, *, dry_run):
            yield Measure(f"bucket {self.bucket}")
            for queue in queues:
                yield Measure(f"queue {queue}", "would be created" if dry_run else "created")

        async def examine(self, queues):
            yield Finding("rights", "may not list", "Allow acme:List.")
            raise Unavailable("acme does not answer.")

        def policies(self, queues):
            return {"worker": '{"Allow": "acme:*"}'}

    @provider
    def perdure_stores():
        return {"acme": Store, "loose": LooseStore, "sealed": ReadOnlyStore, "busy": BusyStore}

    @provider
    def perdure_queues():
        return {"acme": MemoryQueue}

    @provider
    def perdure_natural_queues():
        return {"acme": "memory:acme", "loose": "memory:loose", "sealed": "memory:sealed", "busy": "memory:busy"}

    @provider(tryfirst=True)
    def perdure_committer(store, queue, environment):
        return OutboxCommitter(store, queue, environment.clock)

    @provider
    def perdure_administrations():
        return {"acme": Acme}

    @provider
    def perdure_prices():
        return {"acme": {"put": 5.0}}
"""


@pytest.fixture
def acme(project: Project) -> Project:
    """A project where a provider `acme:`, and one whose writes are not conditional, `loose:`, are installed."""
    info = project.folder / "acme-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n", "utf-8")
    (info / "entry_points.txt").write_text(
        "[perdure]\nacme = acme\nloose = acme\nsealed = acme\nbusy = acme\n", "utf-8"
    )
    (project.folder / "acme.py").write_text(textwrap.dedent(ACME), "utf-8")
    project.environ["PYTHONPATH"] = str(project.folder)
    return project


def test_what_a_place_needs_is_made_and_told(acme: Project) -> None:
    told = acme.ok("provision", "--hub", "acme://shop", "--tasks", "mail")

    assert told == "bucket shop: is there\nqueue turns:default: created\nqueue tasks:mail: created\n2 changed.\n"


def test_a_dry_run_says_that_nothing_was_changed(acme: Project) -> None:
    assert acme.ok("provision", "--hub", "acme://shop", "--dry-run").endswith(
        "would be created\nNothing was changed.\n"
    )


def test_policies_are_printed_by_role(acme: Project) -> None:
    assert (
        acme.ok("provision", "--hub", "acme://shop", "--policies") == '# worker, acme://shop\n{"Allow": "acme:*"}\n\n'
    )


def test_a_place_that_needs_nothing_says_so(project: Project) -> None:
    done = project.perdure("provision", "--hub", "memory:")

    assert (done.code, done.out) == (0, "")
    assert "needs nothing" in done.err


def test_a_hub_where_all_is_well(project: Project) -> None:
    told = project.ok("doctor", "--hub", "memory:", "--json")

    findings = [json.loads(line) for line in told.splitlines()]
    subjects = ["hub", "conditional writes", "clock", "payloads", "purge", "messages"]
    assert [finding["subject"] for finding in findings] == subjects
    assert all(finding["ok"] for finding in findings)


def test_writes_that_are_not_conditional_are_found(acme: Project) -> None:
    done = acme.perdure("doctor", "--hub", "loose:x")

    assert done.code == 4
    assert "conditional writes: 16 of 16 writers won round 1\n  Do not use this store" in done.out
    assert "messages: are sent" in done.out


def test_a_store_that_nothing_can_be_written_to_is_looked_at_to_the_end(acme: Project) -> None:
    done = acme.perdure("doctor", "--hub", "sealed:x")

    assert done.code == 4
    assert "conditional writes: Unavailable: acme:Put is not allowed." in done.out
    assert "clock: not compared" in done.out
    assert "messages: are sent" in done.out


def test_two_doctors_at_once_do_not_condemn_a_store(acme: Project) -> None:
    assert "wrote at the same time\n  Look again" in acme.perdure("doctor", "--hub", "busy:x").out


def test_what_a_provider_finds_is_told_with_the_mend_and_the_rest_is_looked_at_all_the_same(acme: Project) -> None:
    done = acme.perdure("doctor", "--hub", "acme://shop")

    assert done.code == 4
    assert "rights: may not list\n  Allow acme:List.\n" in done.out
    assert "acme://shop: Unavailable: acme does not answer." in done.out
    assert "one of 16 writers won, each time" in done.out


def test_a_hub_that_does_not_open_is_a_finding(project: Project) -> None:
    (project.folder / "hub").write_text("a file")

    done = project.perdure("doctor", "--hub", "file:hub", "--json")

    assert done.code == 4
    assert not json.loads(done.out)["ok"]


def test_what_a_million_runs_cost(acme: Project) -> None:
    told = json.loads(acme.ok("cost", "shop:quick", "--input", '"o"', "--hub", "acme://shop", "--runs", "5", "--json"))

    puts = told["requests"]["put"]
    assert puts["per_run"] >= 2  # the start, and the end
    assert told["usd_per_million_runs"] == pytest.approx(puts["per_run"] * 5.0)


def test_requests_that_cost_nothing_are_refused_with_the_mend(project: Project) -> None:
    done = project.perdure("cost", "shop:quick", "--input", '"o"', "--hub", "memory:")

    assert done.code == 2
    assert "name a hub whose provider has prices" in done.err
