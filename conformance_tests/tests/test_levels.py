"""Levels 6, 7 and 12 find backends and committers that are wrong on purpose, and count what they have tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Author

HEAD = """
    from perdure.spi import Conflict, OutboxCommitter, Unknown
    from perdure_conformance.budgets import BudgetContract
    from perdure_conformance.crashes import CrashContract
    from perdure_conformance.faults import FaultContract
    import msgspec
"""

ACKS_FIRST = """
    class AcksFirst(OutboxCommitter):
        async def commit(self, step):
            await self._queue.complete(step.complete)
            return await super().commit(msgspec.structs.replace(step, complete=()))

    class Mine(Mine):
        def make_committer(self, store, queue):
            return AcksFirst(store, queue, self.environment.clock)
"""

FORGETS_WHO_WROTE = """
    class ForgetsWhoWrote(MemoryStore):
        async def append(self, append):
            seen = await self.read(append.key)
            version = getattr(seen, "version", 0)
            return Conflict(version) if version != append.expected else await super().append(append)

    class Mine(Mine):
        def make_store(self):
            return ForgetsWhoWrote(self.location, self.environment)
"""

LOSES_WITH_THE_HOLDER = """
    class LosesWithTheHolder(MemoryQueue):
        async def receive(self, queue, **options):
            deliveries = await super().receive(queue, **options)
            await super().complete(deliveries)
            return deliveries

        async def complete(self, deliveries):
            return [True for _ in deliveries]

        async def renew(self, deliveries, lease_seconds):
            return [True for _ in deliveries]

    class Mine(Mine):
        def make_queue(self):
            return LosesWithTheHolder(self.location, self.environment)
"""

APPENDS_TWICE = """
    class AppendsTwice(OutboxCommitter):
        async def commit(self, step):
            if step.append is not None:
                await self._store.append(step.append)
            return await super().commit(step)

    class Mine(Mine):
        def make_committer(self, store, queue):
            return AppendsTwice(store, queue, self.environment.clock)
"""

READS_TOO_MUCH = """
    READS = []

    class ReadsTwice(MemoryStore):
        async def read(self, key, **options):
            READS.append(key)
            READS.append(key)
            return await super().read(key, **options)

    class Mine(Mine):
        def make_store(self):
            return ReadsTwice(self.location, self.environment)

        def requests(self):
            return {"read": len(READS)}
"""

FAULTS = "class TestFaults(FaultContract):\n        harness = Mine\n        seed = 1"
CRASHES = "class TestCrashes(CrashContract):\n        harness = Mine"
BUDGETS = "class TestBudgets(BudgetContract):\n        harness = Mine"
BOUNDED = f'{BUDGETS}\n        requests_max = {{"status": {{"read": 5}}}}'


@pytest.mark.parametrize(
    ("broken", "contract", "which", "found"),
    [
        (ACKS_FIRST, CRASHES, "activity", "['after complete']"),
        (LOSES_WITH_THE_HOLDER, CRASHES, "activity", "['after receive']"),
        (FORGETS_WHO_WROTE, FAULTS, "summary_at_once or many_instances_run_at_once", "AlreadyExists"),
        (APPENDS_TWICE, BUDGETS, "start", "test_a_start_is_one_append"),
        (READS_TOO_MUCH, BOUNDED, "status", "status: {'read': 10}"),
    ],
    ids=["ack first", "lost with its holder", "forgets who wrote", "appends twice", "reads too much"],
)
def test_what_is_broken_is_found(author: Author, broken: str, contract: str, which: str, found: str) -> None:
    run = author.run(f"{HEAD}{broken}\n    {contract}\n", "-k", which, "-x", "--tb=short")

    assert run.code == 1, run.out
    assert found in run.out


def test_the_report_sums_what_was_tried(author: Author) -> None:
    run = author.run(
        f"{HEAD}\n    {CRASHES}\n\n    {BUDGETS}\n\n    {FAULTS}\n        one_in = 60\n",
        "-k",
        "(TestCrashes and start) or TestBudgets or TestFaults",
    )

    assert run.code == 0, run.out
    counts = run.report["backends"][0]["counts"]
    assert counts["crash_points"] >= 4
    assert counts["faults"] > 0
    assert counts["calls_counted"] > 0
    assert f"{counts['crash_points']} crash points" in run.out
    assert f"{counts['faults']:,} faults injected" in (author.folder / "out" / "report.md").read_text("utf-8")
