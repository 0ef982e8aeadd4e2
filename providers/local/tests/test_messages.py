"""What the queue does beyond its contract: clocks, affinity, and who finds what cheaply."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from perdure_conformance.material import ORDER, TASKS, TURNS, addition, begin, ids_of, message

from perdure.spi import Claim, Done, Environment, Misuse, QueueName, Step, SystemEntropy, WorkerId
from perdure.testing import ManualClock
from perdure_local import SqliteQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure_conformance import Backend, Harness


WORKER = WorkerId("w")


def after_reboot(harness: Harness, *, uptime_seconds: float) -> SqliteQueue:
    """Make a queue for which the machine has run for so long; wall time goes on."""
    clock = ManualClock(now=harness.environment.clock.now(), monotonic=uptime_seconds)
    return SqliteQueue(harness.location, Environment(clock, SystemEntropy()))  # type: ignore[attr-defined]


async def test_r14_after_a_reboot_leases_from_before_are_void(virtual: Harness) -> None:
    """The monotonic clock starts again: a lease until second 4,600 would last for an hour more."""
    queue = await virtual.open_queue()
    await queue.send([message(TASKS, "m-1")])
    lost = await virtual.receive_one(queue, TASKS, lease_seconds=3600)
    await queue.aclose()
    rebooted = after_reboot(virtual, uptime_seconds=10)
    await rebooted.open()

    assert await rebooted.renew([lost], 60) == [False]
    (again,) = await rebooted.receive(TASKS, limit=9, lease_seconds=60, wait_seconds=0, worker=WORKER)

    assert (ids_of([again]), again.delivery_count) == (["m-1"], 2)
    await rebooted.aclose()


async def test_r14_a_jump_of_the_wall_clock_ends_no_lease_and_hides_no_message(virtual: Harness) -> None:
    """Only what is delayed looks at wall time."""
    queue = await virtual.open_queue()
    await queue.send([message(TASKS, "held"), message(TASKS, "ready")])
    await virtual.receive_one(queue, TASKS, lease_seconds=3600)
    await queue.aclose()
    monotonic = virtual.environment.clock.monotonic()
    yesterday = ManualClock(now=virtual.environment.clock.now() - 86_400, monotonic=monotonic)
    jumped = SqliteQueue(virtual.location, Environment(yesterday, SystemEntropy()))  # type: ignore[attr-defined]
    await jumped.open()

    found = await jumped.receive(TASKS, limit=9, lease_seconds=60, wait_seconds=0, worker=WORKER)

    assert ids_of(found) == ["ready"]
    await jumped.aclose()


async def test_a_group_is_left_to_the_process_that_had_it_last_for_a_moment(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """It has the history in its cache; elsewhere the instance is replayed from its first turn."""
    last, other = await open_two_workers(virtual, as_another_process)
    await run_a_turn(virtual, last)
    await other.queue.send([message(TURNS, "for the last one", group=ORDER), message(TURNS, "for all", group="else")])

    assert ids_of(await look(virtual, other)) == ["for all"]
    assert ids_of(await look(virtual, last)) == ["for the last one"]


async def test_a_group_whose_last_process_is_busy_goes_to_another_after_a_moment(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """Affinity is a preference."""
    last, other = await open_two_workers(virtual, as_another_process)
    await run_a_turn(virtual, last)
    await last.queue.send([message(TURNS, "m-1", group=ORDER)])
    waiting = virtual.begin_receive(other.queue, TURNS, wait_seconds=60)
    await virtual.let_time_pass(0.04)
    assert not waiting.done()

    await virtual.let_time_pass(0.1)

    assert waiting.done()
    assert ids_of(waiting.result()) == ["m-1"]


async def test_a_group_whose_last_process_is_gone_is_for_everybody_at_once(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """Nobody waits for a process that has ended."""
    last, other = await open_two_workers(virtual, as_another_process)
    await run_a_turn(virtual, last)
    await last.queue.aclose()
    await last.store.aclose()
    await other.queue.send([message(TURNS, "m-1", group=ORDER)])

    assert ids_of(await look(virtual, other)) == ["m-1"]


async def test_an_instance_that_a_client_has_just_started_is_for_everybody_at_once(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """Its creator may wait for the result, but runs no turns."""
    client, worker = await open_two_workers(virtual, as_another_process)
    await client.committer.commit(Step(append=None, send=(message(TURNS, "start", group=ORDER),)))
    await begin(client.store)

    assert ids_of(await look(virtual, worker)) == ["start"]


async def open_two_workers(harness: Harness, as_another_process: Callable[[], None]) -> tuple[Backend, Backend]:
    """Open the hub twice, as two processes that both wait for work."""
    first = await harness.open_backend()
    as_another_process()
    second = await harness.open_backend()
    for worker in (first, second):
        assert await look(harness, worker) == []
    return first, second


async def run_a_turn(harness: Harness, worker: Backend) -> None:
    await begin(worker.store)
    await worker.queue.send([message(TASKS, "input", group=ORDER)])
    held = await harness.receive_one(worker.queue, TASKS)
    await worker.committer.commit(Step(append=addition(ORDER, 1), complete=(held,)))


async def look(harness: Harness, worker: Backend) -> list[Any]:
    return await harness.look(worker.queue, TURNS)


async def test_thousands_of_delayed_messages_cost_a_receive_nothing(virtual: Harness) -> None:
    """They stand in a table of their own, by when they are due; the receive looks at the first one."""
    queue = await virtual.open_queue()
    later = virtual.environment.clock.now() + 3600
    await queue.send([message(TASKS, f"later-{number}", not_before=later + number) for number in range(10_000)])
    await queue.send([message(TASKS, "now")])
    steps = count_steps(queue)

    found = await virtual.look(queue, TASKS)

    assert ids_of(found) == ["now"]
    assert steps() < 10, "thousands of virtual machine instructions: it has walked over what is not due"


def count_steps(queue: Any) -> Callable[[], int]:
    """Count, in thousands, the instructions that SQLite carries out from now on."""
    thousands = 0

    def step() -> int:
        nonlocal thousands
        thousands += 1
        return 0

    queue.access.database.connection.set_progress_handler(step, 1000)
    return lambda: thousands


async def test_the_backlog_of_another_queue_costs_a_receive_nothing(virtual: Harness) -> None:
    """A queue that nobody serves must not slow down all others."""
    queue = await virtual.open_queue()
    await queue.send([message(TASKS, f"m-{number}") for number in range(10_000)])
    await queue.send([message(TURNS, "now")])
    steps = count_steps(queue)

    assert ids_of(await virtual.look(queue, TURNS)) == ["now"]
    assert steps() < 10


@pytest.mark.parametrize("receipt", ["", "nonsense", "1", "1.", ".1", "-1.5", "1.2.3", "999999999999999999999.1"])
async def test_a_receipt_that_is_not_ours_fits_no_message(virtual: Harness, receipt: str) -> None:
    """After a change of the provider an old process may hold such ones."""
    queue = await virtual.open_queue()
    await queue.send([message(TASKS)])
    held = await virtual.receive_one(queue, TASKS)
    foreign = type(held)(held.envelope, receipt, 1, held.lease_until)

    assert await queue.complete([foreign, held]) == [False, True]


async def test_the_receipt_of_a_claimed_message_fits_no_later_one_with_its_number(virtual: Harness) -> None:
    """Likewise where it was born leased."""
    backend = await virtual.open_backend()
    receipts: list[Any] = []
    for name in ("old", "new"):
        done = await backend.committer.commit(
            Step(append=None, send=(message(TASKS, name),), claim=Claim(WORKER, 60, frozenset([name])))
        )
        assert isinstance(done, Done)
        receipts += done.claimed
        if name == "old":
            await backend.queue.complete(done.claimed)

    assert await backend.queue.complete(receipts) == [False, True]


async def test_the_receipt_of_a_message_fits_no_later_one_with_its_number(virtual: Harness) -> None:
    """Numbers are used again once the table is empty: an old receipt would delete a stranger's message."""
    queue = await virtual.open_queue()
    await queue.send([message(TASKS, "old")])
    old = await virtual.receive_one(queue, TASKS)
    await queue.complete([old])
    await queue.send([message(TASKS, "new")])
    new = await virtual.receive_one(queue, TASKS)
    assert old.receipt.split(".")[0] == new.receipt.split(".")[0]

    assert await queue.complete([old]) == [False]
    assert await queue.complete([new]) == [True]


async def test_a_queue_of_no_known_class_is_refused(virtual: Harness) -> None:
    """A misspelt name would be a queue that nobody serves."""
    queue = await virtual.open_queue()

    with pytest.raises(Misuse, match="begin its name with turns or tasks"):
        await queue.send([message(QueueName("timers"))])


async def test_what_is_dropped_takes_no_room(virtual: Harness) -> None:
    """Dead letters are dropped by the thousand."""
    queue: Any = await virtual.open_queue()
    await queue.send([message(TASKS)])
    await queue.dead_letter([await virtual.receive_one(queue, TASKS)], "damaged")

    assert await queue.drop(await queue.peek_dead_letters(TASKS, limit=9)) == [True]

    assert queue.access.database.connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)


async def test_leases_are_not_looked_through_at_every_receive(virtual: Harness) -> None:
    """There may be thousands of them, and idle workers ask all the time."""
    queue: Any = await virtual.open_queue()
    await queue.send([message(TASKS)])
    await virtual.receive_one(queue, TASKS)
    statements: list[str] = []
    queue.access.database.connection.set_trace_callback(statements.append)

    for _ in range(5):
        assert await virtual.look(queue, TASKS) == []

    assert sum("FROM leases" in statement for statement in statements) <= 1


async def test_what_the_dead_held_is_received_at_the_same_look(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """What was known of the ends of leases a moment ago is not so any more."""
    died, queue = await open_holder_and_other(virtual, as_another_process)
    await virtual.let_time_pass(0.95)
    assert await virtual.look(queue, TASKS) == []

    died.access.database._alive.drop()
    await virtual.let_time_pass(0.1)

    assert ids_of(await virtual.look(queue, TASKS)) == ["m-1"]
    died.access.database._alive.begin()


async def test_whoever_waits_is_woken_by_who_finds_the_dead(
    virtual: Harness, as_another_process: Callable[[], None]
) -> None:
    """No time passes here for the one who waits; the one who finds them asks for something else."""
    died, queue = await open_holder_and_other(virtual, as_another_process)
    waiting = virtual.begin_receive(queue, TASKS, wait_seconds=3600)
    await virtual.let_time_pass(0)
    died.access.database._alive.drop()
    queue.access.database._looks_for_dead_at = 0

    assert await queue.receive(TURNS, limit=1, lease_seconds=60, wait_seconds=0, worker=WORKER) == []

    assert ids_of(await asyncio.wait_for(waiting, 30)) == ["m-1"]
    died.access.database._alive.begin()


async def open_holder_and_other(harness: Harness, as_another_process: Callable[[], None]) -> tuple[Any, Any]:
    """Open the hub twice, as two processes; the first holds a message."""
    holder = await harness.open_queue()
    await holder.send([message(TASKS)])
    await harness.receive_one(holder, TASKS, lease_seconds=3600)
    as_another_process()
    other = await harness.open_queue()
    assert await harness.look(other, TASKS) == []
    return holder, other
