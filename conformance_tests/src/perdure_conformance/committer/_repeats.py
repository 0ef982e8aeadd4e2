"""C5: whoever does not know whether a Step was done commits the same one again."""

from __future__ import annotations

import asyncio

from perdure.spi import Conflict, Done, Key, Step
from perdure_conformance.committer._story import begin_turn, is_there, left_over, turn, turn_ids
from perdure_conformance.harness import Contract, Harness
from perdure_conformance.material import ORDER, TURNS, addition, child, ids_of, message, purge

__all__ = ["RepeatClauses"]

OUTBOX = ["mail of order-4711", "task of order-4711", "wake order-4711/child for order-4711"]


class RepeatClauses(Contract):
    """The same Step again."""

    async def test_c5_a_whole_step_again_is_recognised(self, harness: Harness) -> None:
        """The answer was lost. One record, one child; messages may go out twice, never not at all."""
        backend = await harness.open_backend()
        step = turn(await begin_turn(harness, backend))

        first = await backend.committer.commit(step)
        second = await backend.committer.commit(step)

        assert isinstance(first, Done)
        assert isinstance(second, Done)
        assert (second.version, second.created) == (first.version, first.created) == (2, (True,))
        assert await turn_ids(backend) == ["create", "turn"]
        assert await left_over(harness, backend) == OUTBOX

    async def test_c5_another_client_may_commit_it_again(self, harness: Harness) -> None:
        """The input came again and another worker found the record: it sends the stored outbox and completes."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        held = await begin_turn(harness, backend)
        step = turn(held)
        await backend.committer.commit(Step(append=step.append))
        await backend.queue.abandon([held])
        again = await harness.receive_one(other.queue, TURNS, worker="other")

        done = await other.committer.commit(
            Step(append=step.append, create=step.create, send=step.send, complete=(again,))
        )

        assert done == Done(version=2, created=(True,), completed=(True,))
        assert await turn_ids(other) == ["create", "turn"]
        assert await left_over(harness, backend) == OUTBOX

    async def test_c5_a_step_again_is_recognised_after_others_have_built_on_it(self, harness: Harness) -> None:
        """Meanwhile the instance has taken ten more turns and its child has started."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        step = turn(await begin_turn(harness, backend))
        await backend.committer.commit(step)
        for expected in range(2, 12):
            await other.store.append(addition(ORDER, expected, incarnation=f"inc of {ORDER}"))
        await other.store.append(addition(Key("order-4711/child"), 1, incarnation="child of order-4711"))

        done = await backend.committer.commit(step)

        assert isinstance(done, Done)
        assert (done.version, done.created) == (2, (True,))
        assert len(await turn_ids(other)) == 12
        assert len(await turn_ids(other, Key("order-4711/child"))) == 2

    async def test_c5_a_step_again_does_not_bring_back_a_purged_child(self, harness: Harness) -> None:
        """It ran, ended and was purged; run again, it would do everything twice."""
        backend = await harness.open_backend()
        step = Step(create=(child("child", "inc-1"),))
        await backend.committer.commit(step)
        await purge(backend.store, Key("child"), 1)

        done = await backend.committer.commit(step)

        assert isinstance(done, Done)
        assert done.created == (True,)
        assert await turn_ids(backend, Key("child")) == []

    async def test_c5_the_same_step_at_the_same_time_is_done_once(self, harness: Harness) -> None:
        """The first attempt is still on its way when the second begins."""
        backends = [await harness.open_backend() for _ in range(6)]
        held = await begin_turn(harness, backends[0])
        whole = turn(held)
        step = Step(append=whole.append, create=whole.create, send=whole.send)

        calls = [harness.begin(backend.committer.commit(step)) for backend in backends]
        outcomes = [await harness.finish(call) for call in calls]

        assert outcomes == [Done(version=2, created=(True,))] * 6
        assert await turn_ids(backends[0]) == ["create", "turn"]
        assert await left_over(harness, backends[0]) == OUTBOX

    async def test_c5_another_turn_in_its_place_is_a_conflict_also_for_a_repetition(self, harness: Harness) -> None:
        """Recognised is what has my turn id, not what looks like it."""
        backend = await harness.open_backend()
        held = await begin_turn(harness, backend)
        await backend.committer.commit(Step(append=turn(held).append))

        outcome = await backend.committer.commit(turn(held, turn_id="another", child_incarnation="another"))

        assert outcome == Conflict(version=2)
        assert await left_over(harness, backend) == []
        assert not await is_there(backend, "order-4711/child")

    async def test_c5_a_cancelled_step_is_finished_by_committing_it_again(self, harness: Harness) -> None:
        """Cancelled at any await, what is missing is done by the repetition, and what was done is not doubled."""
        backend, other = await harness.open_backend(), await harness.open_backend()

        for ticks in range(12):
            key = Key(f"order-{ticks}")
            held = await begin_turn(harness, backend, key)
            task = harness.begin(backend.committer.commit(turn(held, key)))
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            done = await backend.committer.commit(turn(held, key))

            assert isinstance(done, Done)
            assert (done.version, done.created) == (2, (True,))
            assert await turn_ids(other, key) == ["create", "turn"]
            outbox = [f"mail of {key}", f"task of {key}", f"wake {key}/child for {key}"]
            assert await left_over(harness, other) == outbox

    async def test_c5_a_step_without_an_append_may_be_repeated(self, harness: Harness) -> None:
        """A timer hop: sent again, the later hop meets a timer that has fired and does nothing."""
        backend = await harness.open_backend()
        await backend.queue.send([message(TURNS, "hop 1")])
        held = await harness.receive_one(backend.queue, TURNS)
        step = Step(send=(message(TURNS, "hop 2"),), complete=(held,))

        await backend.committer.commit(step)
        await backend.committer.commit(step)

        assert set(ids_of(await harness.look(backend.queue, TURNS))) == {"hop 2"}
