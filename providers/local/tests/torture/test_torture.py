"""SIGKILL, SIGSTOP and dying clients, on a hub of `sqlite:`; another provider changes the fixture `setting`."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from perdure_torture import (
    HANG_SECONDS,
    UNFINISHED,
    Phase,
    Place,
    Setting,
    collect,
    errand,
    expected_of,
    go,
    item,
    torture,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 50
CLIENT_LIVES = 6
EVENTS = 200
UNFINISHED_MIN = 30
WORKERS = 3
OPEN_AT_ONCE = 8
AIMS = (Phase.TURN, Phase.COMMIT, Phase.TRANSACTION, Phase.ACTIVITY, Phase.RECORDING, Phase.COMMITTED, None, None)
"""In turn; None kills one worker wherever it is."""


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(url=f"sqlite:{tmp_path / 'hub'}")


@pytest.fixture
async def place(setting: Setting, tmp_path: Path) -> AsyncIterator[Place]:
    async with torture(setting, tmp_path) as opened:
        yield opened


class Errands:
    """Errands that this process starts, sends to, and waits for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._numbers = itertools.count(1)
        self.started: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.is_enough = False

    async def begin(self) -> str:
        """Start one, and send it what it will wait for; gives its id."""
        number = next(self._numbers)
        run = await self._place.client.start(errand(number), id=f"errand-{number}")
        self.started.append(run.id)
        await run.send(go, number, event_id=f"go-{number}")
        self.sent.append((run.id, f"go-{number}"))
        return run.id

    async def compare(self, instance_id: str) -> None:
        """Wait for one to end, well."""
        run = await self._place.client.get(instance_id)
        number = int(instance_id.rpartition("-")[2])
        assert await run.result(timeout_seconds=HANG_SECONDS) == expected_of(number, number)

    async def keep_busy(self) -> None:
        """Begin new ones as others end, until it is enough and all have ended."""
        async with asyncio.TaskGroup() as group:
            for _ in range(OPEN_AT_ONCE):
                group.create_task(self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        while not self.is_enough:
            await self.compare(await self.begin())


async def test_fifty_kills_lose_nothing_and_record_nothing_twice(place: Place) -> None:
    """Whatever a worker is in the middle of when it dies, others finish its work as if it had not been there."""
    chance = random.Random(4711)
    errands = Errands(place)
    for _ in range(WORKERS):
        place.start_worker()

    async with asyncio.TaskGroup() as group:
        busy = group.create_task(errands.keep_busy())
        for aim in itertools.islice(itertools.cycle(AIMS), KILLS):
            if aim is None:
                await place.kill_after(chance.randrange(20), chance.choice(place.alive))
            else:
                await place.kill(aim)
            place.start_worker()
        errands.is_enough = True
        await busy
    await place.finish_workers()
    report = await place.verify(started=errands.started, sent=errands.sent)
    unfinished = sum(count for hit, count in place.toll.items() if hit in UNFINISHED)
    print(f"\n{KILLS} kills hit: {dict(place.toll.most_common())}; {unfinished} of them unfinished work.\n{report}")

    assert report.ok, report
    assert set(report.statuses) == {"Completed"}
    assert report.replayed_count == 2 * len(errands.started)
    assert unfinished >= UNFINISHED_MIN
    assert place.toll.total() == KILLS


async def test_when_every_worker_is_dead_all_that_is_open_is_on_its_way(place: Place) -> None:
    """What nobody remembers must be in the hub: every open activity has a message, every pending instance a wake-up."""
    errands = Errands(place)
    for _ in range(10):
        await errands.begin()

    for aim in (Phase.RECORDING, Phase.TRANSACTION, Phase.TURN):
        for _ in range(WORKERS):
            place.start_worker()
        await place.kill(aim)
        place.kill_all()
        report = await place.verify(started=errands.started, sent=errands.sent)
        assert report.ok, report
    place.start_worker()
    await asyncio.gather(*map(errands.compare, errands.started))
    await place.finish_workers()
    report = await place.verify(started=errands.started, sent=errands.sent)

    assert report.ok, report
    assert report.statuses == {"Completed": 20}


async def test_a_worker_that_dies_with_the_write_lock_lets_others_go_on(place: Place) -> None:
    """The lock goes with the process, and of its half transaction nothing remains."""
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


@pytest.mark.parametrize("aim", [Phase.TURN, Phase.COMMIT, Phase.ACTIVITY, Phase.RECORDING], ids=lambda aim: aim.name)
async def test_a_worker_that_slept_through_its_lease_changes_nothing_when_it_wakes(place: Place, aim: Phase) -> None:
    """A zombie goes on where it was: its turn must meet a conflict, its result must be late or the first."""
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
    assert report.repeated_count > 0 or aim in {Phase.TURN, Phase.COMMIT}


async def test_two_workers_on_one_instance_consume_each_of_200_events_once(place: Place) -> None:
    """Two clients send, and forty events are sent by both, as by a client that did not trust its answer.

    Twice a worker is stopped with a turn that it has not committed, so that the other one takes the instance over.
    """
    run = await place.client.start(collect(EVENTS + 1), id="collector")
    for _ in range(2):
        place.start_worker()
    ids = [f"item-{number}" for number in range(EVENTS)]

    clients = [place.start_client(ids[:120], collector=run.id), place.start_client(ids[:79:-1], collector=run.id)]
    for _ in range(2):
        stopped = await place.catch(Phase.COMMIT)
        stopped.pause()
        stopped.row.set_trap(None)
        await place.others_commit(stopped)
        stopped.resume()
    await until(lambda: all(client.poll() == 0 for client in clients), "both clients end, well")
    await run.send(item, EVENTS, event_id="the last one")
    items = await run.result(timeout_seconds=HANG_SECONDS)
    await place.finish_workers()
    report = await place.verify(started=[run.id], sent=[(run.id, one) for one in place.acknowledged()])

    assert sorted(items) == list(range(EVENTS + 1))
    assert report.ok, report
    assert all(process.row.commits for process in place.processes), "both workers took part"


async def test_whatever_a_killed_client_was_told_is_started_runs_to_its_end(place: Place) -> None:
    """Killed between two starts, or within one: what was acknowledged is there, and what is there ends."""
    place.start_worker()
    place.start_worker()
    for life in range(CLIENT_LIVES):
        client = place.start_client([f"errand-{1000 * life + number}" for number in range(100)])
        await until(lambda life=life: len(place.acknowledged()) > 5 * life, "a client starts something")
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


class TestDefects:
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
            worker = place.start_worker()

            await until(lambda: worker.row.commits >= 4, "the fan-out is recorded")
            await place.finish_workers()
            report = await place.verify()

        assert "L2" in {finding.code for finding in report.findings}, report

    async def test_taking_an_event_in_twice_is_seen(self, setting: Setting, tmp_path: Path) -> None:
        async with torture(msgspec.structs.replace(setting, mutant="forgets_events"), tmp_path) as place:
            run = await place.client.start(collect(3), id="collector")
            worker = place.start_worker()

            for turns, number in enumerate((1, 1, 2), start=1):  # each in a turn of its own
                await until(lambda turns=turns: worker.row.commits >= turns, "what came before is recorded")
                await run.send(item, number, event_id=f"item-{number}")
            assert await run.result(timeout_seconds=HANG_SECONDS) == [1, 1, 2]
            await place.finish_workers()
            report = await place.verify()

        assert {finding.code for finding in report.findings} == {"S4"}, report
