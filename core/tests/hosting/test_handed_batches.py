"""A function that is called with messages: what it does of them, and what it says must come again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from _harness import World

from perdure import activity, orchestration
from perdure.config import Settings, parse_location
from perdure.errors import Misuse
from perdure.hosting._lambda import handle_batch
from perdure.hub import OpenHub
from perdure.memory import MemoryQueue, MemoryStore
from perdure.spi import Delivery, Environment, OutboxCommitter, PushedMessages, QueueName, WorkerId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from perdure import Definition

SETTINGS = Settings(hub="memory:")
LEASE_SECONDS = 60.0


class PushingQueue(MemoryQueue, PushedMessages):
    """A queue whose events are deliveries by name."""

    def pushed(self, event: Mapping[str, Any], queues: Sequence[QueueName]) -> dict[str, Delivery]:
        return {name: delivery for name, delivery in event.items() if delivery.envelope.queue in queues}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def hub(world: World) -> AsyncIterator[OpenHub]:
    """Another connection to the hub of the world, whose queue pushes."""
    environment, location = Environment(world.clock, world.entropy), parse_location(world.url)
    store, queue = MemoryStore(location, environment), PushingQueue(location, environment)
    await store.open()
    await queue.open()
    hub = OpenHub(store, queue, OutboxCommitter(store, queue, world.clock), environment, name=world.url)
    yield hub
    await hub.aclose()


class Cloud:
    """Calls the function with what is in the queues, and deletes what it does not want again."""

    def __init__(self, world: World, hub: OpenHub, *definitions: Definition) -> None:
        self._world = world
        self._hub = hub
        self._definitions = definitions
        self.calls = 0

    async def batch(self, queue: str) -> dict[str, Delivery]:
        found = await self._hub.queue.receive(
            QueueName(queue), limit=10, lease_seconds=LEASE_SECONDS, wait_seconds=0, worker=WorkerId("the cloud")
        )
        return {f"m-{number}": delivery for number, delivery in enumerate(found)}

    async def call(self, batch: dict[str, Delivery], seconds: float = 30) -> list[str]:
        self.calls += 1
        doing = handle_batch(self._hub, batch, self._definitions, SETTINGS, seconds)
        again: list[str] = await self._world.finish(doing)
        await self._hub.queue.complete([each for name, each in batch.items() if name not in again])
        return again

    async def run(self, rounds: int = 20) -> None:
        """Call it as long as there is something, turns and tasks."""
        for _ in range(rounds):
            for queue in ("turns:default", "tasks:default"):
                batch = await self.batch(queue)
                if batch:
                    assert await self.call(batch) == []


@activity
async def double(value: int) -> int:
    return 2 * value


@orchestration
async def doubling(value: int) -> int:
    return await double(await double(value))


async def test_a_process_runs_to_its_end_batch_by_batch(world: World, hub: OpenHub) -> None:
    cloud = Cloud(world, hub, doubling, double)
    runs = [await world.client.start(doubling(number)) for number in range(3)]

    await cloud.run()

    assert [await run.result() for run in runs] == [0, 4, 8]
    assert cloud.calls == 3  # turns, then twice activities and the turns that follow (R17): three instances in each


async def test_what_is_not_done_in_time_comes_again(world: World, hub: OpenHub) -> None:
    begun: list[int] = []

    @activity
    async def endless() -> None:
        begun.append(1)
        await asyncio.Event().wait()

    @orchestration
    async def waiting() -> None:
        await endless()

    cloud = Cloud(world, hub, waiting, endless)
    await world.client.start(waiting())
    assert await cloud.call(await cloud.batch("turns:default")) == []

    assert await cloud.call(await cloud.batch("tasks:default"), seconds=5) == []  # given back as a fresh message (R15)

    (fresh,) = (await cloud.batch("tasks:default")).values()
    assert (begun, fresh.delivery_count) == ([1], 1)


async def test_what_dies_with_its_invocation_comes_again(world: World, hub: OpenHub) -> None:
    cloud = Cloud(world, hub, doubling, double)
    run = await world.client.start(doubling(1))
    call = asyncio.ensure_future(handle_batch(hub, await cloud.batch("turns:default"), (doubling,), SETTINGS, 30))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await world.pass_seconds(LEASE_SECONDS + 1)

    await cloud.run()

    assert await run.result() == 4


async def test_a_message_that_cannot_be_read_is_put_aside_and_not_delivered_again(world: World, hub: OpenHub) -> None:
    cloud = Cloud(world, hub, doubling, double)
    await world.client.start(doubling(1))
    (delivery,) = (await cloud.batch("turns:default")).values()
    broken = Delivery(
        envelope=type(delivery.envelope)(delivery.envelope.queue, "x", delivery.envelope.group, b"no message"),
        receipt=delivery.receipt,
        delivery_count=1,
        lease_until=delivery.lease_until,
    )

    assert await cloud.call({"m-0": broken}) == []
    assert len(world.dead()) == 1


async def test_no_instance_that_stalled_is_looked_for(world: World, hub: OpenHub) -> None:
    """That would be a scan of the whole store in each call."""
    scans: list[object] = []
    hub.store.scan = scans.append  # type: ignore[method-assign,assignment]
    cloud = Cloud(world, hub, doubling, double)
    await world.client.start(doubling(1))

    await cloud.run()

    assert scans == []


async def test_a_queue_that_hands_nothing_over_is_refused_with_the_mend(world: World) -> None:
    with pytest.raises(Misuse, match=r"hands messages to no function: run `perdure worker`"):
        await handle_batch(world.home.hub, {}, (doubling,), SETTINGS, 5)
