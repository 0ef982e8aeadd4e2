"""A crash at every await of OutboxCommitter, before the effect and after it with the answer lost.

A Step with an append, two children, an activity and an input makes five calls. Each of them goes wrong once, in each
way; then the promises are looked at from outside, the input comes again, and another worker commits the same Step.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from perdure_conformance.material import ORDER, TASKS, TURNS, addition, child, creation, ids_of, message

from perdure.memory import MemoryQueue, MemoryStore
from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Delivery,
    Done,
    Envelope,
    Environment,
    Head,
    Key,
    Location,
    Misuse,
    OutboxCommitter,
    SendOutcome,
    Step,
    Tombstone,
    Unavailable,
    Unknown,
    WorkerId,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from perdure.testing import ManualClock

T = TypeVar("T")

CALLS = ["append parent", "append first", "append second", "send", "complete"]
OUTBOX = ["task", "wake first for order-4711", "wake second for order-4711"]


@dataclass
class Fuse:
    """Lets one call of a hub go wrong. A process that dies is a cancelled task: nothing after it runs."""

    at: int = -1
    before: bool = True
    error: type[BaseException] = asyncio.CancelledError
    times: int = 1
    calls: list[str] = field(default_factory=list[str])

    async def run(self, name: str, call: Coroutine[Any, Any, T]) -> T:
        is_hit = self.at <= len(self.calls) < self.at + self.times
        self.calls.append(name)
        if is_hit and self.before:
            call.close()
            raise self.error(f"{name}: no effect")
        answer = await call
        if is_hit:
            raise self.error(f"{name}: answer lost")
        return answer


class FaultyStore(MemoryStore):
    fuse: Fuse

    async def append(self, append: Append) -> Committed | Conflict:
        name = "parent" if append.key == ORDER else append.key
        return await self.fuse.run(f"append {name}", super().append(append))


class FaultyQueue(MemoryQueue):
    fuse: Fuse
    unsendable: frozenset[str] = frozenset()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        return await self.fuse.run("send", self._send_what_can_be_sent(messages))

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return await self.fuse.run("complete", super().complete(deliveries))

    async def _send_what_can_be_sent(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        await super().send([one for one in messages if one.message_id not in self.unsendable])
        errors = {one: Unavailable("throttled") for one in self.unsendable}
        return [SendOutcome(one.message_id, errors.get(one.message_id)) for one in messages]


class Scene:
    """One worker with a fuse, and one without that looks on and takes over."""

    def __init__(self, location: Location, environment: Environment, clock: ManualClock) -> None:
        self.clock = clock
        self.faulty_store, self.faulty_queue = FaultyStore(location, environment), FaultyQueue(location, environment)
        self.store, self.queue = MemoryStore(location, environment), MemoryQueue(location, environment)

    async def begin(self, fuse: Fuse) -> Step:
        for client in (self.faulty_store, self.faulty_queue, self.store, self.queue):
            await client.open()
        self.faulty_store.fuse = self.faulty_queue.fuse = fuse
        await self.store.append(creation(ORDER))
        await self.queue.send([message(TURNS, "input", group=ORDER)])
        return step_for(await self.receive_input("dying"))

    async def commit(self, step: Step) -> Done | Conflict:
        """Commit as the faulty worker; time passes while it waits between attempts."""
        committer = OutboxCommitter(self.faulty_store, self.faulty_queue, self.clock)
        task = asyncio.ensure_future(committer.commit(step))
        while not task.done():
            await self.clock.advance(0.1)
        return task.result()

    async def receive_input(self, worker: str) -> Delivery:
        (found,) = await self.queue.receive(TURNS, limit=1, lease_seconds=30, wait_seconds=0, worker=WorkerId(worker))
        assert found.envelope.message_id == "input"
        return found

    async def sent(self) -> list[str]:
        """List what is in the queues, the input aside, without holding it."""
        found: list[str] = []
        for name in (TURNS, TASKS):
            held = await self.queue.receive(name, limit=100, lease_seconds=1, wait_seconds=0, worker=WorkerId("dying"))
            found += ids_of(held)
            await self.queue.abandon(held)
        return sorted(set(found) - {"input"})

    async def is_recorded(self) -> bool:
        head = await self.store.read(ORDER)
        return isinstance(head, Head) and head.version == 2

    async def children(self) -> list[str]:
        return [key for key in ("first", "second") if isinstance(await self.store.read(Key(key)), Head)]

    async def is_input_completed(self, step: Step) -> bool:
        return await self.queue.renew(step.complete, 30) == [False]


def step_for(held: Delivery) -> Step:
    """The same record and outbox every time: only the delivery of the input differs."""
    return Step(
        append=addition(ORDER, 1),
        create=(child("first", "inc-1", parent=ORDER), child("second", "inc-2", parent=ORDER)),
        send=(message(TASKS, "task"),),
        complete=(held,),
    )


@pytest.fixture
def scene(location: Location, environment: Environment, clock: ManualClock) -> Scene:
    return Scene(location, environment, clock)


async def test_a_step_makes_these_calls_in_this_order(scene: Scene) -> None:
    """So that the tests below reach every await."""
    fuse = Fuse()
    step = await scene.begin(fuse)

    assert await scene.commit(step) == Done(version=2, created=(True, True), completed=(True,))

    assert fuse.calls == CALLS


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(CALLS)), ids=CALLS)
async def test_c1_c2_a_worker_that_dies_at_any_call_breaks_no_promise(scene: Scene, at: int, before: bool) -> None:  # noqa: FBT001 - a parameter of the story
    step = await scene.begin(Fuse(at=at, before=before))

    with pytest.raises(asyncio.CancelledError):
        await scene.commit(step)

    done = at + (not before)
    assert await scene.is_recorded() == (done >= 1)
    assert await scene.children() == ["first", "second"][: max(0, done - 1)]
    assert await scene.sent() == (OUTBOX if done >= 4 else [])
    assert await scene.is_input_completed(step) == (done >= 5)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(4), ids=CALLS[:4])
async def test_c5_whoever_gets_the_input_again_does_the_rest(scene: Scene, at: int, before: bool) -> None:  # noqa: FBT001 - a parameter of the story
    """At the fifth call the input may be gone, but then nothing is left to do."""
    step = await scene.begin(Fuse(at=at, before=before))
    with pytest.raises(asyncio.CancelledError):
        await scene.commit(step)
    await scene.clock.advance(30)
    again = step_for(await scene.receive_input("dying"))

    done = await OutboxCommitter(scene.store, scene.queue, scene.clock).commit(again)

    assert done == Done(version=2, created=(True, True), completed=(True,))
    assert await scene.sent() == OUTBOX
    assert await scene.is_input_completed(again)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(3), ids=CALLS[:3])
async def test_c5_an_append_without_an_answer_is_repeated_until_it_is_definite(
    scene: Scene,
    at: int,
    before: bool,  # noqa: FBT001 - a parameter of the story
) -> None:
    """The same bytes: taken for a conflict, its outbox would never be sent; decided again, it would be sent twice."""
    fuse = Fuse(at=at, before=before, error=Unknown)
    step = await scene.begin(fuse)

    assert await scene.commit(step) == Done(version=2, created=(True, True), completed=(True,))

    assert fuse.calls == [*CALLS[: at + 1], *CALLS[at:]]
    assert await scene.sent() == OUTBOX


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_c5_an_append_that_never_gets_an_answer_is_unknown_and_nothing_is_sent(
    scene: Scene,
    before: bool,  # noqa: FBT001 - a parameter of the story
) -> None:
    step = await scene.begin(Fuse(at=0, before=before, error=Unknown, times=1000))

    with pytest.raises(Unknown):
        await scene.commit(step)

    assert await scene.sent() == []
    assert not await scene.is_input_completed(step)


@pytest.mark.parametrize("at", range(len(CALLS)), ids=CALLS)
async def test_c5_a_service_that_is_away_is_told_and_the_step_can_be_committed_again(scene: Scene, at: int) -> None:
    step = await scene.begin(Fuse(at=at, error=Unavailable))

    with pytest.raises(Unavailable):
        await scene.commit(step)

    assert await scene.commit(step) == Done(version=2, created=(True, True), completed=(True,))
    assert await scene.sent() == OUTBOX


@pytest.mark.parametrize("unsendable", [{"task"}, {"wake first for order-4711"}, set(OUTBOX)])
async def test_c2_nothing_is_completed_before_everything_was_sent(scene: Scene, unsendable: set[str]) -> None:
    """Some of a batch were sent and one was not: its input must come again."""
    step = await scene.begin(Fuse())
    scene.faulty_queue.unsendable = frozenset(unsendable)

    with pytest.raises(Unavailable, match=f"^{len(unsendable)} of 3 messages were not sent"):
        await scene.commit(step)

    assert await scene.is_recorded()
    assert await scene.sent() == sorted(set(OUTBOX) - unsendable)
    assert not await scene.is_input_completed(step)
    scene.faulty_queue.unsendable = frozenset()
    assert await scene.commit(step) == Done(version=2, created=(True, True), completed=(True,))
    assert await scene.sent() == OUTBOX


async def test_c1_after_a_conflict_no_further_call_is_made(scene: Scene) -> None:
    fuse = Fuse()
    step = await scene.begin(fuse)
    await scene.store.append(addition(ORDER, 1, turn_id="theirs"))

    assert await scene.commit(step) == Conflict(version=2)

    assert fuse.calls == CALLS[:1]


async def test_c1_a_record_that_is_refused_sends_nothing(scene: Scene) -> None:
    fuse = Fuse(at=0, error=Misuse)
    step = await scene.begin(fuse)

    with pytest.raises(Misuse):
        await scene.commit(step)

    assert fuse.calls == CALLS[:1]
    assert await scene.sent() == []


async def test_c6_a_child_that_is_taken_is_told_in_the_same_batch(scene: Scene) -> None:
    """A crash must not fall between the verdict and the message that tells it."""
    fuse = Fuse()
    step = await scene.begin(fuse)
    await scene.store.append(creation(Key("second"), "another's"))

    assert await scene.commit(step) == Done(version=2, created=(True, False), completed=(True,))

    assert fuse.calls == CALLS
    assert await scene.sent() == ["task", "tell order-4711 about second", "wake first for order-4711"]


async def test_c6_a_verdict_survives_a_crash_before_its_message(scene: Scene) -> None:
    """The child ran, ended and was purged meanwhile: it still is mine, and is woken, not reported as taken."""
    step = await scene.begin(Fuse(at=3))
    with pytest.raises(asyncio.CancelledError):
        await scene.commit(step)
    await scene.store.purge(Key("second"), 1)
    await scene.clock.advance(30)

    done = await OutboxCommitter(scene.store, scene.queue, scene.clock).commit(
        step_for(await scene.receive_input("other"))
    )

    assert done == Done(version=2, created=(True, True), completed=(True,))
    assert isinstance(await scene.store.read(Key("second")), Tombstone)
    assert await scene.sent() == OUTBOX
