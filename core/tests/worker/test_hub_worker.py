"""`async with hub.worker(...)`: a worker beside a body, and what each of them gets of the other's end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import perdure
from perdure.authoring import activity, orchestration
from perdure.config import Settings, WorkerSettings
from perdure.connection import Hub
from perdure.errors import Unavailable
from perdure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from _harness import World

WAIT_SECONDS = 30
"""Of real time, for a condition that comes about at once or never."""


class Broken(Exception):
    """What a queue raises that no worker can work with."""


@activity
async def double(value: int) -> int:
    return value * 2


@orchestration
async def doubling(value: int) -> int:
    return await double(value)


@pytest.fixture
async def hub(world: World) -> AsyncIterator[Hub]:
    """A hub whose queue breaks when it is told to."""
    yield Hub(world.home.hub, Settings(hub=world.url))


def _break(hub: Hub) -> None:
    """Have the next call of the worker's receivers fail."""

    async def receive(*_: object, **__: object) -> object:
        raise Broken("no such queue")

    hub._hub.queue.receive = receive  # type: ignore[method-assign, assignment]


async def test_instances_run_while_the_body_does(hub: Hub) -> None:
    async with hub.worker(doubling, double):
        run = await hub.start(doubling(4))

        assert await run.result() == 8


async def test_connect_and_worker_take_two_lines() -> None:
    async with perdure.connect("memory:") as hub, hub.worker(doubling, double):
        run = await hub.start(doubling(4))

        assert await run.result(timeout_seconds=WAIT_SECONDS) == 8


async def test_a_body_that_ends_at_once_leaves_cleanly(hub: Hub) -> None:
    async with hub.worker(doubling, double) as worker:
        pass

    assert worker._is_stopped.is_set()


async def test_an_error_of_the_body_comes_through_as_itself(hub: Hub) -> None:
    with pytest.raises(LookupError) as caught:
        async with hub.worker(doubling, double) as worker:
            await asyncio.sleep(0)
            raise LookupError("mine")

    assert str(caught.value) == "mine"
    assert worker._is_stopped.is_set()


async def test_a_worker_that_fails_cancels_the_body_and_its_own_error_is_raised(hub: Hub) -> None:
    _break(hub)
    seen: list[str] = []

    with pytest.raises(Broken) as caught:
        async with hub.worker(doubling, double):
            try:
                await asyncio.sleep(WAIT_SECONDS)
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

    assert seen == ["cancelled"]
    assert type(caught.value) is Broken
    _assert_not_cancelled()
    await asyncio.sleep(0)


async def test_after_a_failed_worker_the_task_can_be_used_as_before(hub: Hub) -> None:
    """A count of cancellations that stays too high breaks every `asyncio.timeout` that follows."""
    _break(hub)
    with pytest.raises(Broken):
        async with hub.worker(doubling, double):
            await asyncio.sleep(WAIT_SECONDS)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(WAIT_SECONDS)


async def test_a_body_that_ends_as_the_worker_fails_gets_the_workers_error_and_no_late_cancellation(hub: Hub) -> None:
    _break(hub)

    with pytest.raises(Broken):
        async with hub.worker(doubling, double) as worker:
            while not worker._is_stopped.is_set():
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    break

    _assert_not_cancelled()
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_body_that_makes_another_error_of_its_cancellation_still_gets_the_workers(hub: Hub) -> None:
    _break(hub)

    with pytest.raises(Broken) as caught:
        async with hub.worker(doubling, double):
            try:
                await asyncio.sleep(WAIT_SECONDS)
            except asyncio.CancelledError:
                raise LookupError("while cleaning up") from None

    assert isinstance(caught.value.__context__, LookupError)
    _assert_not_cancelled()


async def test_cancelling_the_body_from_outside_stops_the_worker_and_stays_a_cancellation(hub: Hub) -> None:
    workers: list[object] = []
    began = asyncio.Event()

    async def work() -> None:
        async with hub.worker(doubling, double) as worker:
            workers.append(worker)
            began.set()
            await asyncio.sleep(WAIT_SECONDS)

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert workers[0]._is_stopped.is_set()  # type: ignore[attr-defined]


async def test_a_timeout_around_it_is_a_timeout(hub: Hub) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), hub.worker(doubling, double):
            await asyncio.sleep(WAIT_SECONDS)


async def test_cancelling_while_it_drains_breaks_off(hub: Hub) -> None:
    """The hub is closed next: a worker that goes on behind its back would work on a closed one."""
    began, ended = asyncio.Event(), asyncio.Event()

    @activity
    async def slow() -> None:
        began.set()
        try:
            await asyncio.sleep(WAIT_SECONDS)
        finally:
            ended.set()

    @orchestration
    async def asking() -> None:
        await slow()

    async def work() -> None:
        async with hub.worker(asking, slow):
            await hub.start(asking())
            await began.wait()

    task = asyncio.create_task(work())
    await began.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert ended.is_set()


async def test_the_users_error_is_raised_though_the_worker_fails_while_it_stops(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LookupError):
        async with hub.worker(doubling, double) as worker:

            async def fail() -> None:
                raise Broken("while stopping")

            worker._finish = fail  # type: ignore[method-assign]
            await asyncio.sleep(0)
            raise LookupError("mine")

    assert "while it stopped" in caplog.text


@pytest.mark.parametrize("steps", [0, 1, 5])
async def test_stopping_the_worker_inside_the_body_is_allowed(hub: Hub, steps: int) -> None:
    async with hub.worker(doubling, double) as worker:
        for _ in range(steps):
            await asyncio.sleep(0)
        await worker.stop()

    assert worker._is_stopped.is_set()


async def test_two_workers_in_one_body_both_drain(hub: Hub) -> None:
    async with hub.worker(doubling, double) as one, hub.worker(doubling, double) as two:
        run = await hub.start(doubling(1))
        assert await run.result() == 2

    assert one._is_stopped.is_set()
    assert two._is_stopped.is_set()


async def test_a_worker_that_cannot_renew_its_leases_for_a_defect_fails_loudly(world: World) -> None:
    """Without renewal everything it holds is given to others behind its back."""
    worker = Worker(world.home.hub, [doubling, double], WorkerSettings())

    async def keep() -> None:
        await world.clock.sleep(1)
        raise Broken("renewing")

    worker._leases.keep = keep  # type: ignore[method-assign]

    with pytest.raises(Broken):
        await world.finish(worker.run())


async def test_a_hub_that_is_away_is_no_failure_of_the_worker(world: World, hub: Hub) -> None:
    """It waits; the body goes on."""
    receive = hub._hub.queue.receive
    calls: list[int] = []

    async def sometimes(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) < 6:
            raise Unavailable("not now")
        return await receive(*args, **options)  # type: ignore[arg-type]

    hub._hub.queue.receive = sometimes  # type: ignore[method-assign, assignment]
    async with hub.worker(doubling, double):
        run = await hub.start(doubling(2))

        assert await world.result(run) == 4


def _assert_not_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
