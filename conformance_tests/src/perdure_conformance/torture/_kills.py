"""KillContract: workers are killed wherever they are."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from typing import TYPE_CHECKING, ClassVar

import pytest
import pytest_asyncio

from perdure_conformance.harness import Contract, Harness
from perdure_conformance.torture._board import Phase
from perdure_conformance.torture._counts import count, unfinished_kills
from perdure_conformance.torture._errands import Errands
from perdure_conformance.torture._place import Place, torture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WORKERS = 3
COMMITS_BETWEEN_KILLS = 12
LAST_MOMENTS = (Phase.RECORDING, Phase.TRANSACTION, Phase.APPENDED, Phase.SENDING, Phase.SENT)


class Tortured(Contract):
    """What contracts of torture share: a hub that other processes can reach."""

    level = 7

    @pytest_asyncio.fixture(name="place")
    async def open_place(
        self, harness: Harness, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
    ) -> AsyncIterator[Place]:
        """Open the hub of the harness; a parameter of the test is the defect that its workers have."""
        addresses = harness.addresses()
        if addresses is None:
            pytest.skip("no other process can reach this backend: Harness.addresses() is None")
        folder = tmp_path_factory.mktemp("torture")
        async with torture(harness, addresses, folder, mutant=getattr(request, "param", "")) as place:
            yield place


class KillContract(Tortured):
    """Whatever a SIGKILL hits, nothing is lost and nothing is recorded twice.

    Attributes:
        kills: SIGKILLs of the long test, at least 10; `PERDURE_TORTURE_KILLS` in the environment overrides it.
        unfinished_part: At least so much of them must hit an uncommitted turn or an activity without an outcome.
    """

    kills: ClassVar[int] = 50
    unfinished_part: ClassVar[float] = 0.6

    async def test_many_kills_lose_nothing_and_record_nothing_twice(
        self, place: Place, request: pytest.FixtureRequest
    ) -> None:
        """Whatever a worker is in the middle of when it dies, others finish its work as if it had not been there."""
        kills = int(os.environ.get("PERDURE_TORTURE_KILLS", self.kills))
        chance = random.Random(4711)  # noqa: S311 - repeatable is what it is for
        errands = Errands(place)
        for _ in range(WORKERS):
            place.start_worker()

        async with asyncio.TaskGroup() as group:
            busy = group.create_task(errands.keep_busy())
            for aim in itertools.islice(itertools.cycle([*place.traps(), Phase.ACTIVITY, None]), kills):
                await place.commit_more(chance.randrange(COMMITS_BETWEEN_KILLS))
                await (place.kill_any(chance) if aim is None else place.kill(aim))
                place.start_worker()
            errands.is_enough = True
            await busy
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)
        count(request.node.user_properties, place.toll, report)

        assert report.ok, report
        assert set(report.statuses) == {"Completed"}
        assert report.replayed_count == 2 * len(errands.started)
        assert place.toll.total() == kills
        assert unfinished_kills(place.toll) >= kills * self.unfinished_part

    @pytest.mark.parametrize("aim", LAST_MOMENTS, ids=lambda aim: aim.name)
    async def test_when_every_worker_is_dead_all_that_is_open_is_on_its_way(self, place: Place, aim: Phase) -> None:
        """What nobody remembers must be in the hub: whatever is open has a message."""
        skip_unless_possible(place, aim)
        errands = Errands(place)
        for _ in range(6):
            await errands.begin()
        for _ in range(WORKERS):
            place.start_worker()

        # One round only: who was hit three times waits to be run alone, and to look at a message counts as a hit (R15).
        await place.commit(COMMITS_BETWEEN_KILLS)
        await place.kill(aim)
        place.kill_all()
        left = await place.verify(started=errands.started, sent=errands.sent)
        place.start_worker()
        await asyncio.gather(*map(errands.compare, errands.started))
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)

        assert left.ok, left
        assert report.ok, report
        assert report.statuses == {"Completed": 12}

    async def test_a_worker_that_dies_with_the_write_lock_lets_others_go_on(self, place: Place) -> None:
        """The lock goes with the process, and of its half transaction nothing remains."""
        skip_unless_possible(place, Phase.TRANSACTION)
        errands = Errands(place)
        await errands.begin()
        place.start_worker()
        place.start_worker()

        hits = [await place.kill(Phase.TRANSACTION)]
        await errands.begin()  # needs the lock
        hits.append(await place.kill(Phase.TRANSACTION))
        place.start_worker()
        await asyncio.gather(*map(errands.compare, errands.started))
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)

        assert hits == ["transaction", "transaction"]
        assert report.ok, report


def skip_unless_possible(place: Place, aim: Phase) -> None:
    if aim not in place.traps(aim):
        pytest.skip(f"no worker of this hub can be caught at {aim.name}: see Place.traps")
