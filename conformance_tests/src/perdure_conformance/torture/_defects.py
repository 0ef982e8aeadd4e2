"""DefectsContract: workers that are wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure_conformance.torture._board import Phase
from perdure_conformance.torture._errands import Errands
from perdure_conformance.torture._kills import Tortured
from perdure_conformance.torture._load import collect, item
from perdure_conformance.torture._process import HANG_SECONDS

if TYPE_CHECKING:
    from perdure_conformance.torture._place import Place


class DefectsContract(Tortured):
    """Workers that are wrong on purpose: torture and oracles must see it."""

    level = 10

    @pytest.mark.parametrize("place", ["completes_first"], indirect=True)
    async def test_completing_an_input_before_the_record_is_there_loses_work(self, place: Place) -> None:
        await Errands(place).begin()
        place.start_worker()

        await place.kill(Phase.COMMITTED)  # between the two
        report = await place.verify()

        assert {finding.code for finding in report.findings} == {"L1"}, report

    @pytest.mark.parametrize("place", ["loses_tasks"], indirect=True)
    async def test_forgetting_to_send_what_a_record_asks_for_leaves_it_open(self, place: Place) -> None:
        await Errands(place).begin()
        place.start_worker()

        await place.commit(4)  # the fan-out is recorded
        await place.finish_workers()
        report = await place.verify()

        assert "L2" in {finding.code for finding in report.findings}, report

    @pytest.mark.parametrize("place", ["forgets_events"], indirect=True)
    async def test_taking_an_event_in_twice_is_seen(self, place: Place) -> None:
        run = await place.client.start(collect(3), id="collector")
        place.start_worker()

        for turns, number in enumerate((1, 1, 2), start=1):  # each in a turn of its own
            await place.commit(turns)
            await run.send(item, number, event_id=f"item-{number}")
        assert await run.result(timeout_seconds=HANG_SECONDS) == [1, 1, 2]
        await place.finish_workers()
        report = await place.verify()

        assert {finding.code for finding in report.findings} == {"S4"}, report
