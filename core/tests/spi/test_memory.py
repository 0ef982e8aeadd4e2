"""What is particular to `memory:`: names, clocks, and who shares what."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pluggy
import pytest
from perdure_conformance.material import ORDER, TASKS, TURNS, creation, ids_of, message, summary

from perdure import memory
from perdure.memory import MemoryCommitter, MemoryQueue, MemoryStore
from perdure.spi import (
    PLUGIN_GROUP,
    Clock,
    Done,
    Environment,
    Head,
    Hooks,
    Location,
    Missing,
    Misuse,
    Query,
    QueueName,
    Step,
    StoredPayload,
    WorkerId,
)
from perdure.testing import ManualClock, SeededEntropy

if TYPE_CHECKING:
    from perdure.spi import Delivery, WorkQueue

PRIVATE = Location(url="memory:", scheme="memory", path="", options={})


async def open_store(location: Location, environment: Environment) -> MemoryStore:
    store = MemoryStore(location, environment)
    await store.open()
    return store


async def open_queue(location: Location, environment: Environment) -> MemoryQueue:
    queue = MemoryQueue(location, environment)
    await queue.open()
    return queue


async def receive(
    queue: WorkQueue, name: QueueName, worker: str = "worker", lease_seconds: float = 60
) -> list[Delivery]:
    return await queue.receive(name, limit=10, lease_seconds=lease_seconds, wait_seconds=0, worker=WorkerId(worker))


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_clients_of_one_name_share_a_hub(location: Location, environment: Environment) -> None:
    one, other = await open_store(location, environment), await open_store(location, environment)

    await one.append(creation(ORDER))

    assert isinstance(await other.read(ORDER), Head)


async def test_another_name_is_another_hub(location: Location, environment: Environment) -> None:
    elsewhere = Location(url=f"{location.url}2", scheme="memory", path=f"{location.path}2", options={})
    one, other = await open_store(location, environment), await open_store(elsewhere, environment)

    await one.append(creation(ORDER))

    assert await other.read(ORDER) == Missing()


async def test_without_a_name_every_client_is_alone(environment: Environment) -> None:
    one, other = await open_store(PRIVATE, environment), await open_store(PRIVATE, environment)

    await one.append(creation(ORDER))

    assert await other.read(ORDER) == Missing()


async def test_a_named_hub_lives_as_long_as_somebody_has_it_open(location: Location, environment: Environment) -> None:
    store, queue = await open_store(location, environment), await open_queue(location, environment)
    await store.append(creation(ORDER))

    await store.aclose()
    again = await open_store(location, environment)
    assert isinstance(await again.read(ORDER), Head)
    await again.aclose()
    await queue.aclose()

    assert await (await open_store(location, environment)).read(ORDER) == Missing()


async def test_closing_twice_does_not_take_the_hub_from_others(location: Location, environment: Environment) -> None:
    store, other = await open_store(location, environment), await open_store(location, environment)
    await other.append(creation(ORDER))

    await store.aclose()
    await store.aclose()

    assert isinstance(await (await open_store(location, environment)).read(ORDER), Head)


async def test_a_client_that_is_not_open_says_so(location: Location, environment: Environment) -> None:
    closed = await open_store(location, environment)
    await closed.aclose()

    for store in (MemoryStore(location, environment), closed):
        with pytest.raises(Misuse, match="is not open"):
            await store.read(ORDER)


def test_options_are_refused_by_name(environment: Environment) -> None:
    location = Location(url="memory:a?size=3", scheme="memory", path="a", options={"size": "3"})

    for factory in (MemoryStore, MemoryQueue):
        with pytest.raises(Misuse, match="no options, remove size"):
            factory(location, environment)


async def test_a_hub_is_not_shared_with_another_running_loop(location: Location, environment: Environment) -> None:
    """Its events belong to one loop; woken from another they would be lost."""
    await open_store(location, environment)
    outcomes: list[BaseException | None] = []

    def run_elsewhere() -> None:
        try:
            asyncio.run(MemoryStore(location, environment).open())
        except Misuse as error:
            outcomes.append(error)

    thread = threading.Thread(target=run_elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)

    assert "another event loop" in str(outcomes[0])


def test_a_hub_left_open_goes_over_to_the_next_loop(location: Location, environment: Environment) -> None:
    """A test that forgot to close, a notebook that calls asyncio.run again."""

    async def write() -> None:
        await (await open_store(location, environment)).append(creation(ORDER))

    async def read() -> object:
        return await (await open_store(location, environment)).read(ORDER)

    asyncio.run(write())

    assert isinstance(asyncio.run(read()), Head)


def test_a_hub_that_went_over_to_another_loop_is_shared_within_that_one_only(
    location: Location, environment: Environment
) -> None:
    """It is the loop of now that counts, not the one of whoever left it open."""

    async def leave_open() -> None:
        await open_store(location, environment)

    async def share() -> None:
        await open_store(location, environment)
        with pytest.raises(Misuse, match="another event loop"):
            await asyncio.to_thread(asyncio.run, open_store(location, environment))

    asyncio.run(leave_open())
    asyncio.run(share())


async def test_a_hub_keeps_nothing_of_what_is_over(location: Location, environment: Environment) -> None:
    """A process that runs for weeks would grow with every instance there has been."""
    store, queue = await open_store(location, environment), await open_queue(location, environment)
    await queue.send([message(TURNS)])
    held = await receive(queue, TURNS)
    await store.changed(ORDER, None, 0)

    await queue.complete(held)

    messages = queue.messages._queues[TURNS]
    assert (messages.messages, messages._held_groups) == ({}, {})
    assert (queue.messages.changes._events, store.histories.changes._events) == ({}, {})


# ── plugin ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_plugin_offers_both_halves_and_a_committer(environment: Environment) -> None:
    plugins = pluggy.PluginManager(PLUGIN_GROUP)
    plugins.add_hookspecs(Hooks)
    plugins.register(memory)
    plugins.check_pending()

    assert plugins.hook.perdure_stores() == [{"memory": MemoryStore}]
    assert plugins.hook.perdure_queues() == [{"memory": MemoryQueue}]
    assert plugins.hook.perdure_natural_queues() == [{"memory": "{url}"}]
    store, queue = await open_store(PRIVATE, environment), await open_queue(PRIVATE, environment)
    committer = plugins.hook.perdure_committer(store=store, queue=queue, environment=environment)
    assert isinstance(committer, MemoryCommitter)


async def test_the_committer_joins_any_two_halves_in_memory(environment: Environment) -> None:
    """A plain `memory:` makes a hub for the store and one for the queue; one Step still is one moment."""
    store, queue = await open_store(PRIVATE, environment), await open_queue(PRIVATE, environment)

    done = await MemoryCommitter(store, queue).commit(Step(append=creation(ORDER), send=(message(TASKS),)))

    assert done == Done(version=1)
    assert isinstance(await store.read(ORDER), Head)
    assert ids_of(await receive(queue, TASKS)) == ["m-1"]


def test_the_committer_is_not_offered_for_a_half_elsewhere(environment: Environment) -> None:
    store = MemoryStore(PRIVATE, environment)

    assert memory.perdure_committer(store, object(), environment) is None  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# ── histories ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tags_that_the_caller_changes_afterwards_are_not_stored(environment: Environment) -> None:
    """In no other backend could a caller reach into what was committed."""
    store = await open_store(PRIVATE, environment)
    append = creation(ORDER, tags={"shop": "north"})
    await store.append(append)

    append.summary.tags["shop"] = "south"
    async for found in store.scan(Query()):
        found.tags["shop"] = "west"

    head = await store.read(ORDER)
    assert isinstance(head, Head)
    assert head.summary == summary(ORDER, tags={"shop": "north"})


async def test_a_payload_is_not_replaced_by_other_bytes(environment: Environment) -> None:
    store = await open_store(PRIVATE, environment)
    payload = StoredPayload(ORDER, "first/in")
    await store.put_payload(payload, b"one")

    with pytest.raises(Misuse, match="other bytes"):
        await store.put_payload(payload, b"two")

    assert await store.get_payload(payload) == b"one"


async def test_a_summary_of_another_instance_is_refused(environment: Environment) -> None:
    store = await open_store(PRIVATE, environment)
    append = creation(ORDER)
    stray = type(append)(
        key=ORDER, turn_id="t", record=b"", version=1, expected=0, summary=summary("another"), create=True
    )

    with pytest.raises(Misuse, match="another instance, 'another'"):
        await store.append(stray)


async def test_an_append_to_nothing_that_is_no_create_is_refused(environment: Environment) -> None:
    store = await open_store(PRIVATE, environment)
    stray = type(creation(ORDER))(
        key=ORDER, turn_id="t", record=b"", version=1, expected=0, summary=summary(ORDER), create=False
    )

    with pytest.raises(Misuse, match="set create=True"):
        await store.append(stray)


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_worker_may_take_further_messages_of_a_group_that_it_holds(environment: Environment) -> None:
    """So that one turn handles everything that has come for the instance."""
    queue = await open_queue(PRIVATE, environment)
    await queue.send([message(TURNS, "m-1", group="a"), message(TURNS, "m-2", group="a")])
    first = await queue.receive(TURNS, limit=1, lease_seconds=60, wait_seconds=0, worker=WorkerId("w"))

    assert ids_of(first) == ["m-1"]
    assert ids_of(await receive(queue, TURNS, "w")) == ["m-2"]


async def test_a_message_abandoned_until_the_end_of_its_own_lease_is_given_once(
    environment: Environment, clock: ManualClock
) -> None:
    """The end of the lease and the end of the delay are the same moment; it is still one message."""
    queue = await open_queue(PRIVATE, environment)
    await queue.send([message(TASKS)])
    held = await receive(queue, TASKS, lease_seconds=10)
    await queue.abandon(held, delay_seconds=10)

    await clock.advance(10)

    assert ids_of(await receive(queue, TASKS)) == ["m-1"]
    assert await receive(queue, TASKS) == []


async def test_whoever_received_last_lets_the_others_look_first(environment: Environment, clock: ManualClock) -> None:
    """A worker that passes on what it has no code for must not be the first to have it each time."""
    queue = await open_queue(PRIVATE, environment)
    received: list[str] = []

    async def pass_on(worker: str) -> None:
        while True:
            held = await queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=3600, worker=WorkerId(worker))
            received.append(worker)
            await queue.abandon(held, delay_seconds=10)

    workers = [asyncio.create_task(pass_on(name)) for name in ("one", "other")]
    await clock.advance(0)
    await queue.send([message(TASKS)])
    for _ in range(5):
        await clock.advance(10)

    assert len(received) == 6
    assert all(one != next_one for one, next_one in pairwise(received))
    for worker in workers:
        worker.cancel()


async def test_a_queue_of_no_known_class_is_refused(environment: Environment) -> None:
    queue = await open_queue(PRIVATE, environment)

    with pytest.raises(Misuse, match="begin its name with turns or tasks"):
        await queue.send([message(QueueName("timers"))])


async def test_a_delay_of_a_message_given_back_has_the_limit_of_one_sent(environment: Environment) -> None:
    queue = await open_queue(PRIVATE, environment)
    await queue.send([message(TASKS)])
    held = await receive(queue, TASKS)

    for delay in (-1, queue.capabilities["tasks"].delay_seconds_max + 1):
        with pytest.raises(Misuse, match="delay_seconds_max"):
            await queue.abandon(held, delay_seconds=delay)


class FastClock(Clock):
    """The clock of a machine that is an hour ahead and was started a day earlier."""

    def __init__(self, right: ManualClock) -> None:
        self._right = right

    def now(self) -> float:
        return self._right.now() + 3600

    def monotonic(self) -> float:
        return self._right.monotonic() + 86_400

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await self._right.wait(event, seconds)


async def test_a_hub_has_the_time_of_whoever_opened_it_first(
    location: Location, environment: Environment, clock: ManualClock
) -> None:
    """As a service has its own: clients with other clocks agree on what is due and who holds what."""
    right = await open_queue(location, environment)
    fast_environment = Environment(clock=FastClock(clock), entropy=SeededEntropy(2))
    fast, fast_store = await open_queue(location, fast_environment), await open_store(location, fast_environment)

    await right.send([message(TASKS, "now"), message(TASKS, "later", not_before=clock.now() + 60)])
    (held,) = await receive(fast, TASKS, lease_seconds=30)
    await fast_store.append(creation(ORDER))

    assert held.envelope.message_id == "now"
    assert held.lease_until == clock.monotonic() + 86_400 + 30
    head = await fast_store.read(ORDER)
    assert isinstance(head, Head)
    assert head.server_time == clock.now()
    await clock.advance(30)
    assert ids_of(await receive(right, TASKS)) == ["now"]
