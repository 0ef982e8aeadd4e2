"""More rules of the turn protocol at the worker, where breaking one must be seen at once and not after a long wait."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from _faults import Gated, Life, MortalCommitter
from _harness import DAY, Process, SkewedClock, World, decisions, inputs, turns

from perdure import events
from perdure.authoring import Event, activity, orchestration
from perdure.engine import envelope, turns_queue, wake
from perdure.errors import AlreadyExists
from perdure.ids import Key
from perdure.memory import MemoryQueue
from perdure.messages import RaiseEvent
from perdure.replay import TurnOverrun
from perdure.spi import Conflict, Step, Tombstone
from perdure.worker._watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure.client import Run
    from perdure.spi import Committer, Done, QueueCapabilities
    from perdure.testing import ManualClock

go: Event[int] = Event("go")

LEASE = 30.0


@activity
async def plus_one(value: int) -> int:
    return value + 1


@orchestration
async def summing(count: int) -> list[int]:
    return [await go() for _ in range(count)]


@orchestration
async def sleeping(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "awake"


# ---- R3: what a worker remembers may be old ------------------------------------------------------------------------


class CountsConflicts(MortalCommitter):
    """A committer that takes its process away when it loses again and again: for good, it would never stop by itself.

    Attributes:
        count: How often a Step of its process met a conflict.
    """

    most = 20

    def __init__(self, inner: Committer, life: Life) -> None:
        super().__init__(inner, life)
        self.count = 0

    async def commit(self, step: Step) -> Done | Conflict:
        answer = await super().commit(step)
        self.count += isinstance(answer, Conflict)
        if self.count == self.most:
            self.life.die()
        return answer


async def _gated(world: World) -> tuple[Process, Gated, CountsConflicts]:
    gates: list[Gated] = []
    committers: list[CountsConflicts] = []
    life = Life()

    def wrap_queue(queue: Any) -> Gated:
        gates.append(Gated(queue, world.clock))
        return gates[0]

    def wrap(committer: Committer) -> CountsConflicts:
        committers.append(CountsConflicts(committer, life))
        return committers[0]

    process = await world.process(life=life, wrap=wrap, wrap_queue=wrap_queue)
    return process, gates[0], committers[0]


async def test_r3_a_worker_that_lost_forgets_what_it_remembered(world: World) -> None:
    """One conflict tells it that its seat is old. Running from that seat again could only lose again."""
    (a, gate_a, losses), (b, gate_b, _) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(summing, replay_check="never")
    await b.work(summing, replay_check="never")
    run = await world.client.start(summing(3))
    await run.send(go, 1)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 2)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = True, False

    await run.send(go, 3)
    await world.pass_seconds(1)

    assert losses.count == 1
    assert await world.result(run, within_seconds=10) == [1, 2, 3]  # and not only when its messages come again


# ---- R9: purging ---------------------------------------------------------------------------------------------------


async def _purged(world: World, run: Run[Any]) -> int:
    """Purge an instance that has ended; give the version of its last record."""
    version = (await world.history(run)).records[-1].version
    await world.home.hub.store.purge(Key(run.id), version)
    return version


async def test_r9_what_comes_for_a_purged_instance_changes_nothing_and_is_not_kept(world: World) -> None:
    """Messages outlive what they are for: one that was left over would go round until it is a dead letter."""
    process = await world.worker(summing)
    run = await world.client.start(summing(1), id="gone")
    await run.send(go, 1)
    assert await world.result(run) == [1]
    first = (await world.history(run)).records[0]
    version = await _purged(world, run)

    late = wake(Key("gone"), first.incarnation, version, "default")
    await world.home.hub.commit(Step(send=(late,)), give_up_seconds=1)
    await world.pass_seconds(1)

    assert await process.hub.store.read(Key("gone")) == Tombstone(version + 1, first.incarnation)
    assert world.waiting(turns_queue("default")) == []
    assert world.dead() == []


async def test_r9_a_worker_that_still_remembers_a_purged_instance_writes_nothing(world: World) -> None:
    """Were its append taken, the instance would be back, without its past."""
    (a, gate_a, losses), (b, gate_b, _) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(summing, replay_check="never")
    await b.work(summing)
    run = await world.client.start(summing(2), id="gone")
    await run.send(go, 1)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 2)
    assert await world.result(run) == [1, 2]
    incarnation = (await world.history(run)).records[0].incarnation
    version = await _purged(world, run)

    late = RaiseEvent(incarnation, events.EventRaised("go", b"\x03", "late"), world.clock.now())
    packed = envelope(turns_queue("default"), Key("gone"), "late", late)
    gate_a.is_open, gate_b.is_open = True, False
    await world.home.hub.commit(Step(send=(packed,)), give_up_seconds=1)
    await world.pass_seconds(1)

    assert losses.count == 1  # it did try
    assert await world.home.hub.store.read(Key("gone")) == Tombstone(version + 1, incarnation)
    assert world.waiting(turns_queue("default")) == []
    assert world.dead() == []


async def test_r9_an_id_that_was_purged_is_not_taken_again_by_mistake(world: World) -> None:
    """Whoever starts it does not know of the purge, and may be a late repetition of the start that was purged."""
    await world.worker(sleeping)
    run = await world.client.start(sleeping(0), id="gone")
    assert await world.result(run) == "awake"
    version = await _purged(world, run)

    with pytest.raises(AlreadyExists, match="was purged: choose another"):
        await world.client.start(sleeping(0), id="gone")

    tombstone = await world.home.hub.store.read(Key("gone"))
    assert isinstance(tombstone, Tombstone)
    assert tombstone.version == version + 1


# ---- R13: longer than the queue can delay --------------------------------------------------------------------------


class ShortDelays(MemoryQueue):
    """A queue that delays a message by a quarter of an hour at most, as SQS does."""

    capabilities: Mapping[str, QueueCapabilities] = {
        kind: msgspec.structs.replace(limits, delay_seconds_max=900.0)
        for kind, limits in MemoryQueue.capabilities.items()
    }


async def test_r13_nothing_is_sent_that_is_to_wait_for_longer_than_the_queue_can() -> None:
    """The queue would refuse it, and with it the whole Step, again and again."""
    async with World(queue_type=ShortDelays) as world:
        limit = ShortDelays.capabilities["turns"].delay_seconds_max
        far = wake(Key("order-1"), "of nobody", 1, "default", not_before=world.clock.now() + DAY)

        await world.home.hub.commit(Step(send=(far,)), give_up_seconds=1)

        (waiting,) = world.waiting(turns_queue("default"))
        assert limit - 2 <= waiting.hidden_until - world.clock.monotonic() <= limit


# ---- R14: clocks ---------------------------------------------------------------------------------------------------


class SetBackWhenRead(SkewedClock):
    """A machine whose clock is set back in a certain moment: right after it was read for the first time since then.

    Attributes:
        at: When, by the right time; None: it never is.
        reads_before: How often it is still read, after that, before it is set back.
    """

    def __init__(self, true: ManualClock, reads_before: int) -> None:
        super().__init__(true, off_seconds=0.0)
        self.at: float | None = None
        self.reads_before = reads_before

    def now(self) -> float:
        seen = super().now()
        if self.at is not None and self.off_seconds == 0.0 and seen >= self.at:
            if not self.reads_before:
                self.off_seconds = -4.0
            self.reads_before -= 1
        return seen


@pytest.mark.parametrize("reads_before", range(3))
async def test_r14_a_clock_that_is_set_back_while_a_timer_is_judged_does_not_lose_it(
    world: World, reads_before: int
) -> None:
    """The timer is due by the first look, and not by the second: its message would be completed, and nothing fired."""
    clock = SetBackWhenRead(world.clock, reads_before)
    process = await world.process(clock=clock)
    await process.work(sleeping, replay_check="never")
    run = await world.client.start(sleeping(100.0))
    await world.settle()
    clock.at = world.clock.now() + 100.0

    await world.pass_seconds(150)

    assert clock.off_seconds < 0
    assert (await run.summary()).status == "Completed"


# ---- R15: run alone, or not at all ---------------------------------------------------------------------------------


async def test_r15_a_suspect_is_not_run_while_others_are_at_work(world: World) -> None:
    """It would take them along, and nobody could tell who brought the process down."""

    @orchestration
    async def innocent() -> int:
        return await go()

    run = await world.client.start(innocent(), id="o")
    for _ in range(3):
        doomed = await world.process(life=Life(dies_at=6))  # both receives, the scan, and then in the middle of a turn
        await doomed.work(innocent, lease_seconds=LEASE)
        await world.pass_seconds(0.1)
        assert doomed.life.is_over
        await doomed.kill()
        await world.pass_seconds(LEASE)
    process = await world.worker(innocent, lease_seconds=LEASE)
    assert process.worker is not None
    await run.send(go, 1)

    async with process.worker._solitude.in_company():
        await world.pass_seconds(200)  # in good time for a few tries
        assert turns(await world.history(run)) == []
        failed = decisions(await world.history(run), events.TurnFailed)
        assert [each.reason.partition(":")[0] for each in failed] == ["suspected"]
        assert inputs(await world.history(run), events.EventRaised) != []  # what came for it is recorded meanwhile

    assert await world.result(run, within_seconds=600) == 1


# ---- R18: a turn is bounded ----------------------------------------------------------------------------------------


class Watched:
    """What the watchdog knows of an execution."""

    overrun_requested = False


def _burn(seconds: float) -> None:
    """Compute. In a frame of its own: CPython 3.13.0 takes a stop past the `try` of the frame that it arrives in."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_r18_the_watchdog_stops_what_computes_for_too_long() -> None:
    """Nothing else can: it holds the event loop."""
    watchdog, watched = Watchdog(0.3), Watched()

    with pytest.raises(TurnOverrun), watchdog.watch(watched):  # type: ignore[arg-type]
        _burn(5)

    watchdog.stop()
    assert watched.overrun_requested
