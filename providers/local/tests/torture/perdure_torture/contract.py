"""The torture as a contract: a provider's test class inherits it and says which hub in a fixture `setting`."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from perdure_torture.board import Phase
from perdure_torture.errands import Errands
from perdure_torture.load import collect, expected_of, go, item
from perdure_torture.torture import HANG_SECONDS, UNFINISHED, Place, Setting, torture, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WORKERS = 3
COMMITS_BETWEEN_KILLS = 12
CLIENT_LIVES = 6
EVENTS = 200
ZOMBIES = (Phase.TURN, Phase.COMMIT, Phase.APPENDED, Phase.SENDING, Phase.SENT, Phase.ACTIVITY, Phase.RECORDING)


class TortureContract:
    """What must survive SIGKILL, SIGSTOP and dying clients. The hub must be one that several processes can open.

    Attributes:
        kills: SIGKILLs of the long test.
        unfinished_part: At least so much of them must hit an uncommitted turn or an activity without an outcome.
    """

    kills = 50
    unfinished_part = 0.6

    @pytest.fixture
    async def place(self, setting: Setting, tmp_path: Path) -> AsyncIterator[Place]:
        async with torture(setting, tmp_path) as opened:
            yield opened

    async def test_many_kills_lose_nothing_and_record_nothing_twice(self, place: Place) -> None:
        """Whatever a worker is in the middle of when it dies, others finish its work as if it had not been there."""
        chance = random.Random(4711)
        errands = Errands(place)
        for _ in range(WORKERS):
            place.start_worker()

        async with asyncio.TaskGroup() as group:
            busy = group.create_task(errands.keep_busy())
            for aim in itertools.islice(itertools.cycle([*place.traps(), Phase.ACTIVITY, None]), self.kills):
                await place.commit_more(chance.randrange(COMMITS_BETWEEN_KILLS))
                await (place.kill_any(chance) if aim is None else place.kill(aim))
                place.start_worker()
            errands.is_enough = True
            await busy
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)
        unfinished = sum(count for hit, count in place.toll.items() if hit in UNFINISHED)
        hits = dict(place.toll.most_common())
        print(f"\n{self.kills} kills hit: {hits}; {unfinished} of them unfinished work.\n{report}")  # noqa: T201 - the count is the result

        assert report.ok, report
        assert set(report.statuses) == {"Completed"}
        assert report.replayed_count == 2 * len(errands.started)
        assert unfinished >= self.kills * self.unfinished_part
        assert place.toll.total() == self.kills

    async def test_when_every_worker_is_dead_all_that_is_open_is_on_its_way(self, place: Place) -> None:
        """What nobody remembers must be in the hub: whatever is open has a message."""
        errands = Errands(place)
        for _ in range(10):
            await errands.begin()

        for aim in place.traps(Phase.RECORDING, Phase.TRANSACTION, Phase.APPENDED, Phase.SENDING, Phase.SENT):
            for _ in range(WORKERS):
                place.start_worker()
            await place.kill(aim)
            place.kill_all()
            # What was hit several times waits to be run alone, as stalled (R15); to look at a message counts as a hit.
            report = await place.verify(started=errands.started, sent=errands.sent, stalled=errands.all_ids())
            assert report.ok, report
        place.start_worker()
        await asyncio.gather(*map(errands.compare, errands.started))
        await place.finish_workers()
        report = await place.verify(started=errands.started, sent=errands.sent)

        assert report.ok, report
        assert report.statuses == {"Completed": 20}

    async def test_a_worker_that_dies_with_the_write_lock_lets_others_go_on(self, place: Place) -> None:
        """The lock goes with the process, and of its half transaction nothing remains."""
        if not place.traps(Phase.TRANSACTION):
            pytest.skip("no probe shows when this provider holds a write lock, or it has none")
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

    @pytest.mark.parametrize("aim", ZOMBIES, ids=lambda aim: aim.name)
    async def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(
        self, place: Place, aim: Phase
    ) -> None:
        """A zombie goes on where it was: its turn must meet a conflict, its result must be late or the first."""
        if not place.traps(aim):
            pytest.skip("Steps are atomic here: there is no moment between record and outbox")
        errands = Errands(place)
        for _ in range(6):
            await errands.begin()
        place.start_worker()
        zombie = await place.catch(aim)
        zombie.pause()
        zombie.row.set_trap(None)

        place.start_worker()
        await asyncio.gather(*map(errands.compare, errands.started))
        zombie.resume()
        await until(lambda: zombie.what_is_hit() == "nothing", "the zombie ends what it was at")
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
        first.pause()
        first.row.set_trap(None)
        await place.others_commit(first)
        # Only now, and while the first one stands still: the second one must have something to commit.
        clients.append(place.start_client(ids[:79:-1], collector=run.id))
        await place.catch(Phase.COMMIT, among=[second])
        second.pause()
        second.row.set_trap(None)
        first.resume()
        await place.others_commit(second)
        second.resume()
        await until(lambda: all(client.poll() == 0 for client in clients), "both clients end, well")
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


class DefectsContract:
    """Workers that are wrong on purpose: torture and oracles must see it."""

    async def test_completing_an_input_before_the_record_is_there_loses_work(
        self, setting: Setting, tmp_path: Path
    ) -> None:
        async with torture(msgspec.structs.replace(setting, mutant="completes_first"), tmp_path) as place:
            await Errands(place).begin()
            place.start_worker()

            await place.kill(Phase.COMMITTED)  # between the two
            report = await place.verify()

        assert {finding.code for finding in report.findings} == {"L1"}, report

    async def test_forgetting_to_send_what_a_record_asks_for_leaves_it_open(
        self, setting: Setting, tmp_path: Path
    ) -> None:
        async with torture(msgspec.structs.replace(setting, mutant="loses_tasks"), tmp_path) as place:
            await Errands(place).begin()
            place.start_worker()

            await place.commit(4)  # the fan-out is recorded
            await place.finish_workers()
            report = await place.verify()

        assert "L2" in {finding.code for finding in report.findings}, report

    async def test_taking_an_event_in_twice_is_seen(self, setting: Setting, tmp_path: Path) -> None:
        async with torture(msgspec.structs.replace(setting, mutant="forgets_events"), tmp_path) as place:
            run = await place.client.start(collect(3), id="collector")
            place.start_worker()

            for turns, number in enumerate((1, 1, 2), start=1):  # each in a turn of its own
                await place.commit(turns)
                await run.send(item, number, event_id=f"item-{number}")
            assert await run.result(timeout_seconds=HANG_SECONDS) == [1, 1, 2]
            await place.finish_workers()
            report = await place.verify()

        assert {finding.code for finding in report.findings} == {"S4"}, report
