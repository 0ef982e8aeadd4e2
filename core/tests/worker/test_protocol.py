"""The rules of the turn protocol at the worker, each with the race or crash that it is there for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from _faults import Gated, Life, LosesAnswers, MortalCommitter, MortalStore
from _harness import DAY, Process, SkewedClock, World, decisions, inputs, turns

from perdure import codec, events
from perdure.authoring import Event, activity, now, orchestration
from perdure.client._send import send_event
from perdure.engine import envelope, plan_turn, turns_queue
from perdure.ids import Key
from perdure.messages import TimerDue
from perdure.spi import Conflict, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.spi import Committer, Done, HistoryStore, StoredPayload

go: Event[int] = Event("go")
other: Event[str] = Event("other")


@activity
async def plus_one(value: int) -> int:
    return value + 1


@orchestration
async def summing(count: int) -> list[int]:
    return [await go() for _ in range(count)]


@orchestration
async def chain(count: int) -> int:
    value = 0
    for _ in range(count):
        value = await plus_one(value)
    return value


async def _gated(world: World) -> tuple[Process, Gated]:
    gates: list[Gated] = []

    def wrap(queue: Any) -> Gated:
        gates.append(Gated(queue, world.clock))
        return gates[0]

    return await world.process(wrap_queue=wrap), gates[0]


# ---- R3: what a worker remembers may be old ------------------------------------------------------------------------


async def test_r3_a_worker_with_an_old_seat_reads_again_when_another_worker_went_on(world: World) -> None:
    (a, gate_a), (b, gate_b) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(summing)
    await b.work(summing)
    run = await world.client.start(summing(4))
    await run.send(go, 1)
    await world.pass_seconds(1)

    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 2)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = True, False
    await run.send(go, 3)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 4)

    assert await world.result(run) == [1, 2, 3, 4]
    ran_by = [record.turn.worker for record in turns(await world.history(run)) if record.turn is not None]
    assert a.worker is not None
    assert b.worker is not None
    assert ran_by[-4:] == [a.worker.id, b.worker.id, a.worker.id, b.worker.id]


async def test_r3_an_outcome_that_an_old_seat_never_asked_for_is_not_dropped(world: World) -> None:
    """Worker B asked for the activity; its outcome is received by worker A, whose seat knows nothing of it."""

    @orchestration
    async def asking_late() -> int:
        await go()
        await go()
        return await plus_one.options(queue="far")(1)

    (a, gate_a), (b, gate_b) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(asking_late)
    await b.work(asking_late)
    run = await world.client.start(asking_late())
    await run.send(go, 1)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 2)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = True, False
    await world.worker(plus_one, turns=(), tasks=("far",))

    assert await world.result(run) == 2


async def test_r3_an_old_seat_does_not_swallow_the_message_that_a_newer_timer_relies_on(world: World) -> None:
    """One message wakes all timers of an instance. Seen from an old seat it is spurious: dropped, nothing wakes."""

    @orchestration
    async def renewing() -> float:
        async with asyncio.timeout(100):
            await go()
        await other()
        began = now().timestamp()
        try:
            async with asyncio.timeout(500):
                await go()
        except TimeoutError:
            pass
        return now().timestamp() - began

    (a, gate_a), (b, gate_b) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(renewing)
    await b.work(renewing)
    run = await world.client.start(renewing())
    await world.pass_seconds(1)
    await run.send(go, 1)  # cancels the first timer; its message stays under way
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(other, "go on")  # the second timer is later than that message, and relies on it
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = True, False

    assert 500 <= await world.result(run, within_seconds=2 * DAY) < 510


async def test_r3_an_old_seat_does_not_put_a_timer_off(world: World) -> None:
    """Seen from an old seat the message is early for a timer that is gone; the newer timer is due before that."""

    @orchestration
    async def renewing() -> float:
        patience: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(100))
        long = asyncio.create_task(asyncio.sleep(5_000))
        await go()
        patience.cancel()
        await go()
        long.cancel()
        began = now().timestamp()
        await asyncio.sleep(200)
        return now().timestamp() - began

    (a, gate_a), (b, gate_b) = await _gated(world), await _gated(world)
    gate_b.is_open = False
    await a.work(renewing)
    await b.work(renewing)
    run = await world.client.start(renewing())
    await world.pass_seconds(1)
    await run.send(go, 1)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = False, True
    await run.send(go, 2)
    await world.pass_seconds(1)
    gate_a.is_open, gate_b.is_open = True, False

    assert 200 <= await world.result(run, within_seconds=2 * DAY) < 210


# ---- R4: answers get lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["before", "after"])
async def test_r4_an_uncertain_commit_is_repeated_with_the_same_step_until_it_is_certain(
    world: World, fate: str
) -> None:
    committers: list[LosesAnswers] = []

    def wrap(committer: Committer) -> Committer:
        committers.append(LosesAnswers(committer, [fate, fate, "ok"] * 10))
        return committers[0]

    process = await world.process(wrap=wrap)
    await process.work(chain, plus_one)

    run = await world.client.start(chain(3))

    assert await world.result(run) == 3
    await world.pass_seconds(5)
    steps = committers[0].steps
    for index, (step, met) in enumerate(steps):
        if met != "ok":
            assert steps[index + 1][0] is step
    history = await world.history(run)
    assert [record.version for record in history.records] == sorted({record.version for record in history.records})
    assert len(inputs(history, events.TaskCompleted)) == 3


@pytest.mark.parametrize("fate", ["before", "after"])
async def test_r4_a_commit_that_stays_uncertain_is_looked_up_and_not_done_twice(world: World, fate: str) -> None:
    """The worker gives up repeating and reads: what it finds of its own are duplicates, what it does not is done."""

    def wrap(committer: Committer) -> Committer:
        return LosesAnswers(committer, ["ok", *[fate] * 12])

    process = await world.process(wrap=wrap)
    await process.work(chain, plus_one)

    run = await world.client.start(chain(3))

    assert await world.result(run) == 3
    assert len(decisions(await world.history(run), events.TaskScheduled)) == 3


# ---- R11: zombies --------------------------------------------------------------------------------------------------


class SlowPayloads(MortalStore):
    """A store whose first payloads take their time."""

    def __init__(self, inner: HistoryStore, seconds: list[float], then: Callable[[], Any], clock: Any) -> None:
        super().__init__(inner, Life())
        self._seconds = seconds
        self._then = then
        self._clock = clock

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        await super().put_payload(payload, data)
        if "/r/" in payload.name and self._seconds:
            await self._clock.sleep(self._seconds.pop(0))
            await self._then()


@orchestration
async def large(count: int) -> int:
    await go()
    return len(await plus_one_large("x" * count))


@activity
async def plus_one_large(value: str) -> str:
    return value[:3]


async def test_r11_a_worker_that_was_held_up_between_read_and_commit_reads_again_before_it_commits(
    world: World,
) -> None:
    reads: list[str] = []
    events_sent: list[int] = []

    async def another_event() -> None:
        if not events_sent:
            events_sent.append(1)
            await world.client.send("o", go, 2)

    def wrap(store: HistoryStore) -> HistoryStore:
        slow = SlowPayloads(store, [20.0], another_event, world.clock)
        read = slow.read

        async def noted(*args: Any, **kwargs: Any) -> Any:
            reads.append(f"{world.clock.monotonic():.0f}")
            return await read(*args, **kwargs)

        slow.read = noted  # type: ignore[method-assign]
        return slow

    committers: list[LosesAnswers] = []

    def watch(committer: Committer) -> Committer:
        committers.append(LosesAnswers(committer, []))
        return committers[0]

    process = await world.process(wrap_store=wrap, wrap=watch)
    process.hub.inline_bytes_max = 1_000
    await process.work(large, plus_one_large, lease_seconds=30, replay_check="never")
    run = await world.client.start(large(5_000), id="o")
    await world.pass_seconds(1)
    reads.clear()
    await run.send(go, 1)

    assert await world.result(run) == 3
    assert reads
    assert 20 <= float(reads[0]) <= 22
    versions = [step.append.version for step, _ in committers[0].steps if step.append is not None]
    assert len(versions) == len(set(versions))  # nothing was tried to be put where another record was by then


async def test_r11_a_store_that_is_always_slow_holds_up_but_does_not_stop_an_instance(world: World) -> None:
    """Reading again and running again for ever would be a livelock."""

    async def nothing() -> None: ...

    process = await world.process(wrap_store=lambda store: SlowPayloads(store, [20.0] * 10_000, nothing, world.clock))
    process.hub.inline_bytes_max = 1_000
    await process.work(large, plus_one_large, lease_seconds=30, replay_check="never")
    run = await world.client.start(large(5_000), id="o")
    await run.send(go, 1)

    assert await world.result(run, within_seconds=600) == 3


# ---- R14: clocks ---------------------------------------------------------------------------------------------------


async def test_r14_the_orchestration_clock_does_not_go_back_when_a_workers_clock_does(world: World) -> None:
    times: list[float] = []

    @orchestration
    async def looking() -> None:
        for _ in range(4):
            times.append(now().timestamp())
            await go()

    clock = SkewedClock(world.clock, off_seconds=4.0)
    process = await world.process(clock=clock)
    await process.work(looking, replay_check="never", cache_instances=10)
    run = await world.client.start(looking())
    await world.settle()
    for off in (-4.0, 3.0, -3.0, 4.0):
        clock.off_seconds = off
        await run.send(go, 1)
        await world.settle()

    history = await world.history(run)
    recorded = [record.turn.now for record in history.records if record.turn is not None]
    assert recorded == sorted(recorded)
    assert times == sorted(times)


async def test_r14_a_short_sleep_on_a_clock_that_went_back_a_little_still_ends_at_once(world: World) -> None:
    """The turn's clock stands where the record stands: a timer that is due by it is due."""

    @orchestration
    async def yielding() -> int:
        for _ in range(10):
            await asyncio.sleep(0)
        return 1

    clock = SkewedClock(world.clock, off_seconds=4.0)
    process = await world.process(clock=clock)

    @activity
    async def turn_back() -> None:
        clock.off_seconds = -4.0

    @orchestration
    async def both() -> None:
        await turn_back()
        for _ in range(10):
            await asyncio.sleep(0)

    await process.work(both, yielding, turn_back)
    run = await world.client.start(both())
    await world.settle()

    assert (await run.summary()).status == "Completed"


async def test_r14_a_timer_that_the_queue_calls_due_is_not_sent_round_and_round_by_a_clock_that_is_behind(
    world: World,
) -> None:
    """By the queue's clock its time has come: it would be back at once, thousands of times until ours is there too."""

    @orchestration
    async def sleeping() -> int:
        await asyncio.sleep(10)
        return 1

    clock = SkewedClock(world.clock, off_seconds=0.0)
    committers: list[LosesAnswers] = []

    def watch(committer: Committer) -> Committer:
        committers.append(LosesAnswers(committer, []))
        return committers[0]

    process = await world.process(clock=clock, wrap=watch)
    await process.work(sleeping, replay_check="never")
    run = await world.client.start(sleeping())
    await world.settle()
    clock.off_seconds = -3.0

    assert await asyncio.wait_for(world.result(run), 60) == 1
    assert len(committers[0].steps) < 10


@pytest.mark.parametrize("off_seconds", [-60.0, 60.0])
async def test_r14_a_worker_whose_clock_is_far_off_the_stores_runs_no_turns_and_passes_them_on(
    world: World, off_seconds: float
) -> None:
    process = await world.process(clock=SkewedClock(world.clock, off_seconds=off_seconds))
    await process.work(chain, plus_one)
    run = await world.client.start(chain(2))
    await world.pass_seconds(120)
    assert (await run.summary()).status == "Pending"

    await world.worker(chain, plus_one, tasks=())

    assert await world.result(run) == 2
    assert process.worker is not None
    assert all(
        record.turn is None or record.turn.worker != process.worker.id for record in (await world.history(run)).records
    )
    assert world.dead() == []


# ---- R17: local completion -----------------------------------------------------------------------------------------


async def test_r17_an_outcome_is_fed_to_the_next_turn_without_a_message(world: World) -> None:
    await world.worker(chain, plus_one)
    sent: list[str] = []
    messages = world.messages
    send = messages.send

    def noting(envelopes: Any) -> Any:
        sent.extend(type(codec.decode_message(each.body, where="")).__name__ for each in envelopes)
        return send(envelopes)

    messages.send = noting

    assert await world.result(await world.client.start(chain(5))) == 5
    assert sorted(sent) == ["RunTask"] * 5 + ["Wake"]


async def test_r17_activities_of_its_own_turns_are_born_in_the_workers_hands(world: World) -> None:
    process = await world.worker(chain, plus_one)
    received: list[str] = []
    queue: Any = process.hub.queue
    receive = queue.receive

    async def noting(name: str, **options: Any) -> Any:
        found = await receive(name, **options)
        received.extend(name for _ in found)
        return found

    queue.receive = noting
    await world.pass_seconds(21)  # until each receiver has begun anew

    assert await world.result(await world.client.start(chain(5))) == 5
    assert received == ["turns:default"]


class Overtaken(MortalCommitter):
    """A committer that lets another worker be faster, so many times, when an outcome is to be recorded."""

    def __init__(self, inner: Committer, faster: Callable[[], Any], times: int) -> None:
        super().__init__(inner, Life())
        self._faster = faster
        self._times_left = times
        self.steps: list[Step] = []

    async def commit(self, step: Step) -> Done | Conflict:
        holds_outcome = any(delivery.envelope.queue.startswith("tasks:") for delivery in step.complete)
        if step.append is not None and holds_outcome and self._times_left:
            self._times_left -= 1
            await self._faster()
        self.steps.append(step)
        return await super().commit(step)


@orchestration
async def busy() -> list[int]:
    asked = asyncio.ensure_future(plus_one(1))
    return [await go(), await go(), await asked]


@pytest.mark.parametrize(("times", "messages_sent"), [(1, 0), (2, 1)])
async def test_r17_an_outcome_whose_commit_conflicts_twice_is_sent_as_a_message(
    world: World, times: int, messages_sent: int
) -> None:
    """Another worker keeps winning: it will record the outcome, if it is told."""

    async def faster() -> None:
        hub = world.home.hub
        state = (await hub.load(Key("o"))).state
        assert state is not None
        event = events.EventRaised("go", msgspec.msgpack.encode(7), hub.new_id())
        plan = plan_turn(state, turn=None, turn_id=hub.new_id(), inputs=(event,), decisions=(), inline_bytes_max=1_000)
        await hub.commit(plan.step, give_up_seconds=1)

    committers: list[Overtaken] = []

    def wrap(committer: Committer) -> Committer:
        committers.append(Overtaken(committer, faster, times))
        return committers[0]

    process = await world.process(wrap=wrap)
    await process.work(busy, plus_one)
    run = await world.client.start(busy(), id="o")
    await world.settle()
    for _ in range(2 - times):
        await run.send(go, 7)

    assert await world.result(run) == [7, 7, 2]
    sent = [each for step in committers[0].steps for each in step.send if each.message_id.endswith("/done")]
    assert len(sent) == messages_sent


# ---- odds and ends -------------------------------------------------------------------------------------------------


async def test_messages_of_one_instance_are_one_turn(world: World) -> None:
    run = await world.client.start(summing(50))
    for each in range(50):
        await run.send(go, each)

    await world.worker(summing)

    assert await world.result(run) == list(range(50))
    assert len(turns(await world.history(run))) == 1


async def test_a_defect_met_in_a_turn_does_not_swallow_its_messages(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """They come again when their leases end: another try, or another worker, may not meet it."""
    process = await world.process()
    load = process.hub.load
    met: list[str] = []

    async def broken(key: Key) -> Any:
        if not met:
            met.append(key)
            raise RuntimeError("a defect")
        return await load(key)

    process.hub.load = broken  # type: ignore[method-assign]
    await process.work(summing, replay_check="never")
    run = await world.client.start(summing(1))
    await run.send(go, 1)

    assert await world.result(run) == [1]
    assert "a defect" in caplog.text


async def test_a_message_for_an_instance_that_never_was_is_completed(world: World) -> None:
    await world.worker(summing)
    message = envelope(turns_queue("default"), Key("nobody"), "x/0/t1", TimerDue("x", 0, 1))
    await world.home.hub.commit(Step(send=(message,)), give_up_seconds=1)

    await world.settle()

    assert world.waiting("turns:default") == []
    assert world.dead() == []


async def test_a_message_of_another_incarnation_is_completed_and_never_consumed(world: World) -> None:
    await world.worker(summing)
    run = await world.client.start(summing(1))
    await world.settle()
    summary = msgspec.structs.replace(await run.summary(), incarnation="of-old")
    await send_event(world.home.hub, summary, go, 666, None)
    await world.settle()
    await run.send(go, 1)

    assert await world.result(run) == [1]
    assert world.waiting("turns:default") == []


async def test_bytes_that_are_no_message_are_put_aside_and_work_goes_on(world: World) -> None:
    await world.worker(chain, plus_one)
    good = envelope(turns_queue("default"), Key("x"), "x/0/t1", TimerDue("x", 0, 1))
    bad = msgspec.structs.replace(good, body=b"\xd7garbage")
    bad_task = msgspec.structs.replace(bad, queue="tasks:default")
    await world.home.hub.commit(Step(send=(bad, bad_task)), give_up_seconds=1)

    assert await world.result(await world.client.start(chain(1))) == 1
    assert [letter.envelope.queue for letter in world.dead()] == ["turns:default", "tasks:default"]


class OfTomorrow(msgspec.Struct, frozen=True, array_like=True, tag=99):
    """A message that a later release has."""

    incarnation: str


async def test_r15_a_message_of_a_newer_release_is_passed_on_without_burning_a_delivery(world: World) -> None:
    await world.worker(chain, plus_one)
    good = envelope(turns_queue("default"), Key("x"), "x/0/t1", TimerDue("x", 0, 1))
    newer = msgspec.structs.replace(good, body=codec.encode(OfTomorrow("x")))  # type: ignore[arg-type]
    newer_task = msgspec.structs.replace(newer, queue="tasks:default")
    await world.home.hub.commit(Step(send=(newer, newer_task)), give_up_seconds=1)

    await world.pass_seconds(3_600)

    assert [message.delivery_count for message in world.waiting("turns:default")] == [0]
    assert [message.delivery_count for message in world.waiting("tasks:default")] == [0]
    assert world.dead() == []
