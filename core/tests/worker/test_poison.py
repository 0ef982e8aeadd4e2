"""What takes its process down is found out by running it alone; its neighbours do not pay for it (R15)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from _faults import Life
from _harness import decisions, inputs

from perdure import events
from perdure.authoring import Event, activity, orchestration
from perdure.errors import ActivityError

if TYPE_CHECKING:
    from _harness import Supervisor, World

go: Event[int] = Event("go")

LEASE = 30.0


@activity
async def plus_one(value: int) -> int:
    return value + 1


@orchestration
async def neighbour(count: int) -> int:
    value = 0
    for _ in range(count):
        value = await plus_one(value)
        await asyncio.sleep(20)
    return value


class Deadly:
    """Code that takes its process down for as long as it is not mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.supervisor: Supervisor
        self.company: list[int] = []

    def strike(self) -> None:
        """Die, and remember how many others were at work."""
        if not self.is_mended:
            process = self.supervisor.process
            assert process.worker is not None
            self.company.append(process.worker._solitude.at_work - 1)
            process.life.die()


@pytest.mark.parametrize("company", [0, 5])
async def test_r15_an_instance_that_takes_processes_down_is_run_alone_and_recorded_as_poisoned(
    world: World, company: int
) -> None:
    deadly = Deadly()

    @orchestration
    async def poison() -> int:
        first = await go()
        deadly.strike()
        return first + await go()

    deadly.supervisor = await world.supervise(poison, neighbour, plus_one, lease_seconds=LEASE, replay_check="never")
    run = await world.client.start(poison(), id="poison")
    others = [await world.client.start(neighbour(10)) for _ in range(company)]
    await world.pass_seconds(1)
    await run.send(go, 1)

    async def is_poisoned() -> bool:
        return (await run.summary()).stalled.startswith("poisoned")

    await world.until(is_poisoned, within_seconds=20 * LEASE)
    assert deadly.supervisor.deaths <= 7
    assert deadly.company[-3:] == [0, 0, 0]
    for other in others:
        assert await world.result(other, within_seconds=3_600) == 10
    assert (await run.summary()).status == "Running"

    deadly.is_mended = True
    await run.send(go, 2)
    assert await world.result(run, within_seconds=600) == 3
    assert world.dead() == []


async def test_r15_what_comes_for_a_poisoned_instance_is_recorded_and_takes_no_process_along(world: World) -> None:
    deadly = Deadly()

    @orchestration
    async def poison() -> list[int]:
        await go()
        deadly.strike()
        return [await go() for _ in range(10)]

    deadly.supervisor = await world.supervise(poison, lease_seconds=LEASE, replay_check="never")
    run = await world.client.start(poison(), id="poison")
    await run.send(go, 0)

    async def is_poisoned() -> bool:
        return (await run.summary()).stalled.startswith("poisoned")

    await world.until(is_poisoned, within_seconds=20 * LEASE)
    before = deadly.supervisor.deaths
    for each in range(10):
        await run.send(go, each)
        await world.settle()

    assert len(inputs(await world.history(run), events.EventRaised)) == 11
    assert deadly.supervisor.deaths == before
    deadly.is_mended = True
    assert await world.result(run, within_seconds=600) == list(range(10))


async def test_r15_a_poisoned_instance_takes_few_processes_along_while_nobody_mends_it(world: World) -> None:
    """Each try costs one process; starting workers do not try it, or each would die as it starts."""
    deadly = Deadly()

    @orchestration
    async def poison() -> None:
        deadly.strike()

    deadly.supervisor = await world.supervise(poison, lease_seconds=LEASE, replay_check="never")
    run = await world.client.start(poison(), id="poison")

    async def is_poisoned() -> bool:
        return (await run.summary()).stalled.startswith("poisoned")

    await world.until(is_poisoned, within_seconds=20 * LEASE)
    before = deadly.supervisor.deaths
    records = len((await world.history(run)).records)

    await world.pass_seconds(1_800)

    assert deadly.supervisor.deaths - before <= 1_800 / (60 + LEASE) + 5  # the first tries come sooner
    assert len((await world.history(run)).records) == records
    assert world.dead() == []


async def test_r15_a_suspect_that_turns_out_innocent_goes_on_as_any_other(world: World) -> None:
    """Its processes died of something else: one run alone clears it, and nothing of it was lost."""

    @orchestration
    async def innocent() -> int:
        return await go() + await go()

    run = await world.client.start(innocent(), id="o")
    await run.send(go, 1)
    for _ in range(3):
        doomed = await world.process(life=Life(dies_at=6))  # both receives, the scan, and then in the middle of a turn
        await doomed.work(innocent, lease_seconds=LEASE, replay_check="never")
        await world.pass_seconds(0.1)
        assert doomed.life.is_over
        await doomed.kill()
        await world.pass_seconds(LEASE)
    assert [message.delivery_count for message in world.waiting("turns:default")] == [3, 3]

    await world.worker(innocent, lease_seconds=LEASE)
    await run.send(go, 2)

    assert await world.result(run, within_seconds=600) == 3
    failed = decisions(await world.history(run), events.TurnFailed)
    assert [each.reason.partition(":")[0] for each in failed] == ["suspected"]


async def test_r15e_an_activity_that_takes_processes_down_is_recorded_as_failed_in_the_end(world: World) -> None:
    begun: list[int] = []

    @activity
    async def deadly() -> None:
        begun.append(1)
        supervisor.process.life.die()

    @orchestration
    async def careful() -> str:
        try:
            await deadly()
        except ActivityError as error:
            return str(error.failure)
        return "?"

    supervisor = await world.supervise(careful, deadly, lease_seconds=LEASE)
    run = await world.client.start(careful())

    told = await world.result(run, within_seconds=40 * LEASE)

    assert told.startswith("perdure.Poisoned")
    assert "9 times" in told
    assert len(begun) == 9
    assert world.dead() == []


async def test_r15_nothing_new_begins_while_an_instance_is_run_alone(world: World) -> None:
    """Else a crash could be the newcomer's."""
    process = await world.worker(neighbour, plus_one)
    assert process.worker is not None
    solitude = process.worker._solitude
    seen: list[str] = []
    await world.settle()  # it waits for messages already

    async with solitude.in_company(), solitude.alone() as seconds:
        assert seconds == 0
        run = await world.client.start(neighbour(1))
        await world.pass_seconds(100)
        seen.append((await run.summary()).status)

    assert seen == ["Pending"]
    assert await world.result(run) == 1


async def test_r15_who_waits_to_be_alone_gives_up_after_a_minute_and_lets_others_go_on(world: World) -> None:
    process = await world.worker(neighbour, plus_one)
    assert process.worker is not None
    solitude = process.worker._solitude

    async with solitude.in_company(), solitude.in_company():
        async with solitude.in_company():

            async def wait() -> float:
                async with solitude.alone() as seconds:
                    return seconds

            assert await world.finish(wait()) == 60
            assert not solitude.is_wanted
            await world.pass_seconds(20)
            began = world.clock.monotonic()
            assert 0 < await wait() <= 40  # nobody is kept waiting by the next one who wants to be alone
            assert world.clock.monotonic() == began
        assert not solitude.is_wanted

    assert await world.result(await world.client.start(neighbour(1))) == 1


async def test_r15_only_one_at_a_time_waits_to_be_alone(world: World) -> None:
    """Two that wait for each other would wait for ever."""
    process = await world.worker(neighbour)
    assert process.worker is not None
    solitude = process.worker._solitude

    async def wait() -> float:
        async with solitude.in_company():
            await world.clock.sleep(1)
            async with solitude.alone() as seconds:
                return seconds

    began = world.clock.monotonic()
    assert sorted(await world.finish(asyncio.gather(wait(), wait()))) == [0, 2]  # the other one comes again soon
    assert world.clock.monotonic() - began < 30
