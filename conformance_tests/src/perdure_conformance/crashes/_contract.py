"""CrashContract: every point of every story."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from perdure.spi import QueueName, WorkerId
from perdure_conformance._report.counts import note_count
from perdure_conformance.crashes._stories import STORIES, Story, Told, go
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.scenarios._process import Life, ProcessDied
from perdure_conformance.scenarios._scene import LEASE_MOMENTS, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perdure import Run
    from perdure.client import Client

__all__ = ["CrashContract"]

SCENES_AT_ONCE = 16
"""In real time: most of it is waiting for leases."""

ID = "o"
GUARDED_SECONDS = 200.0
"""After so long, clients that died in the middle of a start have been made up for, and all leases are over."""

UNGUARDED_SECONDS = 100.0
"""Before the guard of a start comes: it is there for dead clients, and would make up for what workers lose."""

REPEATS_MAX = 2
"""Of an activity, for one death: what was in hand is begun again, and a Step in parts may have sent it twice."""

QUEUES = (QueueName("turns:default"), QueueName("tasks:default"))


class CrashContract(Contract):
    """A process dies at any of its calls to the hub: nothing is lost, and nothing that is recorded is done again.

    Attributes:
        point_step: Only each so-maniest point is tried; 1 tries all.
    """

    level = 7
    point_step: ClassVar[int] = 1

    @pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
    async def test_a_process_that_dies_at_any_call_loses_nothing_and_another_goes_on(
        self, story: Story, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        """Power goes when it likes: between a record and its messages, or when an answer is on its way."""
        counted = Life()
        places = _places(tmp_path)
        await _tell(self.harness(next(places)), story, counted)
        points = range(1, len(counted.points) + 1, self.point_step)

        gate = asyncio.Semaphore(1 if self.harness.time_is_virtual else SCENES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            lives = [Life(dies_at=point) for point in points]
            for life in lives:
                group.create_task(_tell_within(gate, self.harness(next(places)), story, life))

        deaths = sum(life.is_over for life in lives)
        note_count(request.node, "crash_points", deaths)
        # In real time the order of calls is not the same in each telling: a few points are not reached.
        assert deaths >= len(points) * (1 if self.harness.time_is_virtual else 1 / 2)


async def _tell_within(gate: asyncio.Semaphore, harness: Harness, story: Story, life: Life) -> None:
    async with gate:
        try:
            await _tell(harness, story, life)
        except BaseException as problem:
            problem.add_note(f"The process died at point {len(life.points)}: {life.points[-1:]}.")
            raise


async def _tell(harness: Harness, story: Story, life: Life) -> None:
    """Tell a story in which one process has that life; others come after it, and the oracles at the end."""
    async with harness, Scene(harness) as scene:
        told = story.told(scene.moment)
        scene.effects = told.effects
        run = await (_started_by_mortal if story.of_client else _run_by_mortal)(scene, story, told, life)
        result = await _result(scene, run)
        assert str(result).startswith(str(story.result)) if story.fails else result == story.result
        if life.is_over:
            await harness.let_time_pass(GUARDED_SECONDS if harness.time_is_virtual else _leases_over(scene))
        await _look(scene, told, life)


async def _started_by_mortal(scene: Scene, _: Story, told: Told, life: Life) -> Run[Any]:
    """Start it from a client that may die over it; whoever asked for that asks again then."""
    client = (await scene.process(life=life)).client
    await scene.worker(*told.code, lease_seconds=scene.lease_seconds)
    try:
        await scene.finish(client.start(told.program(), id=ID))
    except ProcessDied:
        await scene.start(told.program(), id=ID, if_exists="return")
    life.is_safe = True
    return await scene.client.get(ID)


async def _run_by_mortal(scene: Scene, story: Story, told: Told, life: Life) -> Run[Any]:
    """Run it on a worker that may die over it; another one is begun then."""
    began = scene.clock.monotonic()
    mortal = await scene.worker(*told.code, life=life, lease_seconds=scene.lease_seconds)
    run = await scene.start(told.program(), id=ID)
    await scene.send(run, go, *story.events)
    ending = asyncio.ensure_future(_wait_for_end(scene.client))
    await scene.until(lambda: ending.done() or life.is_over)
    if not life.is_over:
        await scene.pass_moments(1)  # What follows the last record: messages and inputs of a Step that is in parts.
        life.is_safe = True
    if life.is_over:
        await mortal.kill()
        await scene.worker(*told.code, lease_seconds=scene.lease_seconds)
    await scene.finish(ending)
    assert scene.clock.monotonic() - began < UNGUARDED_SECONDS, "nobody went on until a guard of the client's woke it"
    return run


async def _wait_for_end(client: Client) -> None:
    await asyncio.wait([asyncio.ensure_future((await client.get(ID)).result())])


async def _result(scene: Scene, run: Run[Any]) -> object:
    try:
        return await scene.result(run)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is compared with what was to come
        return getattr(getattr(problem, "failure", None), "message", repr(problem))


def _leases_over(scene: Scene) -> float:
    return (LEASE_MOMENTS + 2) * scene.moment


async def _look(scene: Scene, told: Told, life: Life) -> None:
    """See that everybody has done with everything: once, or as often as somebody died."""
    assert all(each.is_closed for each in await scene.instances())
    await scene.stop_all()
    for queue in QUEUES:
        left = scene.hub.queue.receive(
            queue, limit=1, lease_seconds=scene.lease_seconds, wait_seconds=0, worker=WorkerId("looker")
        )
        assert await scene.finish(left) == []
    if scene.harness.time_is_virtual:  # A machine under load loses leases, too.
        begun = Counter(effect for effect in told.effects if not effect.is_done)
        assert max(begun.values()) <= 1 + REPEATS_MAX * life.is_over, begun


def _places(folder: Path) -> Iterator[Path]:
    for number in itertools.count():
        home = folder / f"scene-{number}"
        home.mkdir()
        yield home / "hub"
