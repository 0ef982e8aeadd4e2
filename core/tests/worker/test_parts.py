"""The small parts of a worker by themselves: leases, mailboxes, threads, fitting."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from perdure.engine import envelope, turns_queue
from perdure.errors import Failure
from perdure.failures import describe
from perdure.ids import Key
from perdure.memory import MemoryStore
from perdure.messages import TimerDue
from perdure.replay import TurnOverrun
from perdure.spi import Delivery, Step, WorkerId
from perdure.worker._fit import first_batch, fitting
from perdure.worker._leases import Leases
from perdure.worker._seats import Seats
from perdure.worker._threads import Threads
from perdure.worker._turns import WAITING_MAX, Arrival, Mailboxes
from perdure.worker._watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _harness import World

QUEUE = turns_queue("default")
WAIT_SECONDS = 30


async def _one_held(world: World, *, lease_seconds: float) -> Delivery:
    sent = envelope(QUEUE, Key("x"), "x/0/t1", TimerDue("x", 0, 1))
    await world.home.hub.commit(Step(send=(sent,)), give_up_seconds=1)
    (delivery,) = await world.home.hub.queue.receive(
        QUEUE, limit=1, lease_seconds=lease_seconds, wait_seconds=0, worker=WorkerId("me")
    )
    return delivery


async def _renewing(world: World, leases: Leases) -> asyncio.Task[None]:
    task = asyncio.create_task(leases.keep())
    await world.settle()
    return task


# ---- leases --------------------------------------------------------------------------------------------------------


async def test_what_is_held_stays_held_for_as_long_as_it_takes(world: World) -> None:
    leases = Leases(world.home.hub.queue, world.clock, 30)
    delivery = await _one_held(world, lease_seconds=30)
    keeper = await _renewing(world, leases)
    leases.hold(delivery)

    await world.pass_seconds(3_600)

    assert await world.home.hub.queue.complete([delivery]) == [True]
    keeper.cancel()


async def test_what_was_let_go_is_renewed_no_more(world: World) -> None:
    leases = Leases(world.home.hub.queue, world.clock, 30)
    delivery = await _one_held(world, lease_seconds=30)
    keeper = await _renewing(world, leases)
    leases.hold(delivery)
    leases.let_go([delivery])
    leases.let_go([delivery])

    await world.pass_seconds(31)

    assert await world.home.hub.queue.complete([delivery]) == [False]
    assert leases.count(QUEUE) == 0
    keeper.cancel()


async def test_who_holds_what_another_has_by_now_is_told(world: World) -> None:
    leases = Leases(world.home.hub.queue, world.clock, 30)
    delivery = await _one_held(world, lease_seconds=1)
    lost: list[str] = []
    leases.hold(delivery, on_lost=lambda: lost.append("lost"))
    await world.pass_seconds(2)

    keeper = await _renewing(world, leases)
    await world.pass_seconds(6)

    assert lost == ["lost"]
    assert len(leases) == 0
    keeper.cancel()


async def test_an_activity_that_has_ended_is_not_told_any_more(world: World) -> None:
    """Its outcome waits for a turn: cancelling would be too late, and the outcome may still count."""
    leases = Leases(world.home.hub.queue, world.clock, 30)
    delivery = await _one_held(world, lease_seconds=1)
    lost: list[str] = []
    leases.hold(delivery, on_lost=lambda: lost.append("lost"))
    leases.hold(delivery)
    assert leases.count(QUEUE) == 1
    await world.pass_seconds(2)

    keeper = await _renewing(world, leases)
    await world.pass_seconds(6)

    assert lost == []
    assert leases.count(QUEUE) == 0
    keeper.cancel()


async def test_what_is_let_go_while_it_is_renewed_is_not_held_again(world: World) -> None:
    leases = Leases(world.home.hub.queue, world.clock, 30)
    renew = world.home.hub.queue.renew

    async def slow(deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        answer = await renew(deliveries, lease_seconds)
        leases.let_go(deliveries)
        return answer

    world.home.hub.queue.renew = slow  # type: ignore[method-assign]
    keeper = await _renewing(world, leases)
    leases.hold(await _one_held(world, lease_seconds=30))

    await world.pass_seconds(60)

    assert not keeper.done()
    assert len(leases) == 0
    keeper.cancel()


async def test_holding_again_what_was_just_renewed_renews_nothing(world: World) -> None:
    renewed: list[int] = []
    leases = Leases(world.home.hub.queue, world.clock, 30)
    renew = world.home.hub.queue.renew

    async def counted(deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        renewed.append(len(deliveries))
        return await renew(deliveries, lease_seconds)

    world.home.hub.queue.renew = counted  # type: ignore[method-assign]
    delivery = await _one_held(world, lease_seconds=30)
    keeper = await _renewing(world, leases)
    leases.hold(delivery)
    await world.pass_seconds(11)
    assert renewed == [1]

    leases.hold(delivery)
    await world.pass_seconds(7)

    assert renewed == [1]
    keeper.cancel()


# ---- mailboxes -----------------------------------------------------------------------------------------------------


def _arrival() -> Arrival:
    message = TimerDue("x", 0, 1)
    sent = envelope(QUEUE, Key("x"), "x/0/t1", message)
    return Arrival(message, Delivery(sent, "r", 1, 0.0))


async def test_what_comes_while_a_turn_runs_is_handled_together_in_the_next_one() -> None:
    handled: list[int] = []
    gate = asyncio.Event()

    async def carry_out(_: Key, arrivals: list[Arrival]) -> None:
        handled.append(len(arrivals))
        await gate.wait()

    mailboxes = Mailboxes(carry_out, instances_max=10)
    mailboxes.put(Key("x"), _arrival())
    await asyncio.sleep(0)
    for _ in range(5):
        mailboxes.put(Key("x"), _arrival())
    gate.set()
    await mailboxes.wait_for(lambda: not mailboxes.busy)

    assert handled == [1, 5]
    assert mailboxes.free == 10


async def test_a_busy_instance_does_not_draw_all_its_messages_into_one_worker() -> None:
    gate = asyncio.Event()

    async def carry_out(_key: Key, _arrivals: list[Arrival]) -> None:
        await gate.wait()

    mailboxes = Mailboxes(carry_out, instances_max=10)
    received = 0
    while mailboxes.free > 0:
        for _ in range(mailboxes.free):
            mailboxes.put(Key("x"), _arrival())
            received += 1
        await asyncio.sleep(0)

    assert received <= WAITING_MAX + 10
    gate.set()
    await mailboxes.wait_for(lambda: not mailboxes.busy)
    assert mailboxes.free == 10


async def test_everybody_who_waits_for_room_looks_again_when_there_is_some() -> None:
    async def carry_out(_key: Key, _arrivals: list[Arrival]) -> None: ...

    mailboxes = Mailboxes(carry_out, instances_max=10)
    has_room = False
    waiting = [asyncio.create_task(mailboxes.wait_for(lambda: has_room)) for _ in range(3)]
    await asyncio.sleep(0)
    mailboxes.nudge()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    has_room = True
    mailboxes.nudge()

    async with asyncio.timeout(WAIT_SECONDS):
        await asyncio.gather(*waiting)


async def test_mailboxes_that_are_broken_off_hold_nothing_any_more() -> None:
    async def carry_out(_key: Key, _arrivals: list[Arrival]) -> None:
        await asyncio.Event().wait()

    mailboxes = Mailboxes(carry_out, instances_max=10)
    for _ in range(3):
        mailboxes.put(Key("x"), _arrival())
        await asyncio.sleep(0)
    mailboxes.break_off()
    await mailboxes.wait_for(lambda: not mailboxes.busy)

    assert mailboxes._waiting == {}
    assert mailboxes._waiting_count == 0


# ---- seats and the watchdog ------------------------------------------------------------------------------------------


class LateWatchdog(Watchdog):
    """A watchdog whose stop comes once right before the watch is ended."""

    is_late = True

    def end(self, execution: Any) -> None:
        if self.is_late:
            self.is_late = False
            raise TurnOverrun
        super().end(execution)


def test_a_stop_right_before_the_watch_is_ended_leaves_no_watch_on() -> None:
    """It would throw into whatever this thread does next, again and again."""
    watchdog = LateWatchdog(60)
    seats = Seats(instances_max=1, bytes_max=1, watch=watchdog.watch)
    code: Any = SimpleNamespace(close=lambda: 0, info=SimpleNamespace(instance_id="x"), overrun_requested=False)

    seats.close_execution(code)

    assert watchdog._watched is None
    assert seats.graveyard == [code]
    watchdog.stop()


# ---- threads -------------------------------------------------------------------------------------------------------


async def _call(threads: Threads, function: Callable[[], object]) -> object:
    await threads.wait_for_one()
    return await threads.call(function)


async def test_threads_are_used_again_and_end_when_they_are_stopped() -> None:
    threads = Threads(3)
    names = {str(await _call(threads, lambda: threading.current_thread().name)) for _ in range(5)}
    assert len(names) == 1

    threads.stop()

    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


async def test_threads_do_not_keep_a_process_from_ending() -> None:
    threads = Threads(1)

    assert await _call(threads, lambda: threading.current_thread().daemon)

    threads.stop()


async def test_a_function_that_nobody_waits_for_any_more_keeps_its_thread_until_it_returns() -> None:
    threads = Threads(1)
    release = threading.Event()
    await threads.wait_for_one()
    first = threads.call(lambda: release.wait(WAIT_SECONDS))
    first.cancel()
    second = asyncio.create_task(_call(threads, lambda: "second"))
    await asyncio.sleep(0)
    assert threads.busy == 1
    assert not second.done()

    release.set()

    async with asyncio.timeout(WAIT_SECONDS):
        assert await second == "second"
    assert threads.busy == 0
    threads.stop()


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, StopIteration, asyncio.CancelledError])
async def test_what_would_end_a_loop_or_hang_a_future_is_wrapped(error: type[BaseException]) -> None:
    threads = Threads(1)

    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=error.__name__):
        await _call(threads, fail)
    threads.stop()


# ---- fitting -------------------------------------------------------------------------------------------------------


def _failure(depth: int) -> Failure:
    cause = _failure(depth - 1) if depth else None
    members = tuple(Failure("ValueError", f"member {each}", "t" * 500) for each in range(20))
    return Failure("LookupError", "m" * 3_000, "t" * 10_000, cause=cause, members=members, notes=("n" * 1_000,))


@pytest.mark.parametrize("bytes_max", [1_000_000, 50_000, 10_000, 3_000, 1_000])
def test_a_failure_is_shortened_no_more_than_it_must_be_and_keeps_its_name(bytes_max: int) -> None:
    failure = _failure(5)

    fitted = fitting(failure, bytes_max)

    assert len(msgspec.msgpack.encode(fitted)) <= bytes_max
    assert fitted.type == "LookupError"
    assert fitted.message.startswith("mmm")
    assert (fitted == failure) == (bytes_max == 1_000_000)
    assert fitted == failure or "left out" in describe(fitted)
    if bytes_max >= 10_000:
        assert fitted.cause is not None


def test_one_message_is_always_taken_however_large_it_is() -> None:
    limits = msgspec.structs.replace(MemoryStore.capabilities, record_bytes_max=10)

    assert len(first_batch([_arrival(), _arrival()], limits)) == 1
