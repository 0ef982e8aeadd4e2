"""TortureContract: beside SIGKILL, SIGSTOP, two workers at one instance, and clients that die."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure_conformance.torture._board import Phase
from perdure_conformance.torture._errands import Errands
from perdure_conformance.torture._kills import KillContract, skip_unless_possible
from perdure_conformance.torture._load import collect, expected_of, go, item
from perdure_conformance.torture._process import HANG_SECONDS

if TYPE_CHECKING:
    from perdure_conformance.torture._place import Place

CLIENT_LIVES = 6
EVENTS = 200
ZOMBIES = (Phase.TURN, Phase.COMMIT, Phase.APPENDED, Phase.SENDING, Phase.SENT, Phase.ACTIVITY, Phase.RECORDING)


class TortureContract(KillContract):
    """Workers that stop and clients that die lose nothing, and nothing is recorded twice."""

    @pytest.mark.parametrize("aim", ZOMBIES, ids=lambda aim: aim.name)
    async def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(
        self, place: Place, aim: Phase
    ) -> None:
        """A zombie goes on where it was: its turn must meet a conflict, its result must be late or the first."""
        skip_unless_possible(place, aim)
        errands = Errands(place)
        for _ in range(6):
            await errands.begin()
        place.start_worker()
        zombie = await place.catch(aim)
        await zombie.pause()
        zombie.row.set_trap(None)

        place.start_worker()
        await asyncio.gather(*map(errands.compare, errands.started))
        zombie.resume()
        await place.until(lambda: zombie.what_is_hit() == "nothing", "the zombie ends what it was at")
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)

        assert report.ok, report
        assert report.repeated_count > 0 or aim not in {Phase.ACTIVITY, Phase.RECORDING}

    async def test_two_workers_on_one_instance_consume_each_of_200_events_once(self, place: Place) -> None:
        """Two clients send, and forty events are sent by both, as by a client that did not trust its answer.

        One worker is stopped with a turn that it has not committed, so that the other takes the instance over; then
        the other one is.
        """
        run = await place.client.start(collect(EVENTS + 1), id="collector")
        workers = {place.start_worker(), place.start_worker()}
        ids = [f"item-{number}" for number in range(EVENTS)]

        clients = [place.start_client(ids[:120], collector=run.id)]
        first = await place.catch(Phase.COMMIT)
        (second,) = workers - {first}
        await first.pause()
        first.row.set_trap(None)
        await place.others_commit(first)
        # Only now, and while the first one stands still: the second one must have something to commit.
        clients.append(place.start_client(ids[:79:-1], collector=run.id))
        await place.catch(Phase.COMMIT, among=[second])
        await second.pause()
        second.row.set_trap(None)
        first.resume()
        await place.others_commit(second)
        second.resume()
        await place.until(lambda: all(client.poll() == 0 for client in clients), "both clients end, well")
        await run.send(item, EVENTS, event_id="the last one")
        items = await run.result(timeout_seconds=HANG_SECONDS)
        await place.finish_workers()
        report = await place.verify(started=[run.id], sent=[(run.id, one) for one in place.acknowledged()])

        assert sorted(items) == list(range(EVENTS + 1))
        assert report.ok, report
        assert all(process.row.commits for process in place.processes), "both workers took part"

    async def test_whatever_a_killed_client_was_told_is_started_runs_to_its_end(self, place: Place) -> None:
        """Killed between two starts, or within one: what was acknowledged is there, and what is there ends."""
        place.start_worker()
        place.start_worker()
        for life in range(CLIENT_LIVES):
            client = place.start_client([f"errand-{1000 * life + number}" for number in range(100)])
            await place.acknowledges(5 * life + 1)
            client.kill()
            client.wait()
        started = place.acknowledged()

        there = [summary.key async for summary in place.client.list(name=["errand"])]
        for key in there:
            run = await place.client.get(key)
            await run.send(go, 1, event_id="go")
        for key in there:
            number = int(key.rpartition("-")[2])
            assert await (await place.client.get(key)).result(timeout_seconds=HANG_SECONDS) == expected_of(number, 1)
        await place.finish_workers()
        report = await place.verify(started=started, sent=[(key, "go") for key in there])

        assert report.ok, report
        assert set(started) <= set(there)
        assert set(report.statuses) == {"Completed"}
        assert len(there) <= len(started) + CLIENT_LIVES, "at most one start per client was under way"
