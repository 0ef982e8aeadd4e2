"""C1, C2 and C3: append first, send second, complete last; and all of it, or, after a conflict, nothing."""

from __future__ import annotations

import asyncio

import pytest

from perdure.spi import Conflict, Create, Done, Key, Misuse, Step, queue_class
from perdure_conformance.committer._story import begin_turn, is_there, left_over, turn, turn_ids
from perdure_conformance.harness import Contract, Harness, at_limit
from perdure_conformance.material import ORDER, TASKS, TURNS, addition, child, creation, ids_of, message, read_head

__all__ = ["OrderClauses"]


class OrderClauses(Contract):
    """One Step, alone."""

    async def test_c1_a_turn_is_recorded_sent_and_completed(self, harness: Harness) -> None:
        """The usual case, seen by somebody else."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        held = await begin_turn(harness, backend)

        done = await backend.committer.commit(turn(held))

        assert done == Done(version=2, created=(True,), completed=(True,))
        assert await turn_ids(other) == ["create", "turn"]
        assert await is_there(other, "order-4711/child")
        assert await left_over(harness, other) == [
            "mail of order-4711",
            "task of order-4711",
            "wake order-4711/child for order-4711",
        ]

    async def test_c1_an_empty_step_does_nothing(self, harness: Harness) -> None:
        """Nothing to do is done."""
        backend = await harness.open_backend()

        assert await backend.committer.commit(Step()) == Done(version=0)

    @pytest.mark.parametrize("part", ["append", "create", "send", "complete"])
    async def test_c1_each_part_may_stand_alone(self, harness: Harness, part: str) -> None:
        """A control operation only appends, a timer hop only sends and completes, a client's start only creates."""
        backend = await harness.open_backend()
        held = await begin_turn(harness, backend)
        whole = turn(held)

        done = await backend.committer.commit(Step(**{part: getattr(whole, part)}))

        assert isinstance(done, Done)
        assert (done.version == 2) == (part == "append") == (await turn_ids(backend) == ["create", "turn"])
        assert bool(done.created) == (part == "create") == await is_there(backend, "order-4711/child")
        assert bool(done.completed) == (part == "complete")
        await backend.queue.abandon([held])
        sent = {
            "append": ["input of order-4711"],
            "create": ["input of order-4711", "wake order-4711/child for order-4711"],
            "send": ["input of order-4711", "mail of order-4711", "task of order-4711"],
            "complete": [],
        }
        assert await left_over(harness, backend) == sent[part]

    async def test_c1_after_a_conflict_nothing_of_the_step_was_done(self, harness: Harness) -> None:
        """Its outbox is in no record; sent, it would start work that nobody asked for."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        held = await begin_turn(harness, backend)
        await other.store.append(addition(ORDER, 1, turn_id="theirs", incarnation=f"inc of {ORDER}"))

        outcome = await backend.committer.commit(turn(held))

        assert outcome == Conflict(version=2)
        assert await turn_ids(other) == ["create", "theirs"]
        assert not await is_there(other, "order-4711/child")
        assert await left_over(harness, other) == []
        await backend.queue.abandon([held])
        assert ids_of([await harness.receive_one(other.queue, TURNS)]) == ["input of order-4711"]

    async def test_c1_whoever_receives_a_message_finds_the_record_it_came_from(self, harness: Harness) -> None:
        """A message that overtakes its record is taken for one of an unknown task, and dropped."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        await backend.store.append(creation(ORDER))

        for version in range(2, 22):
            step = Step(append=addition(ORDER, version - 1), send=(message(TASKS, f"task of {version}"),))
            waiting = harness.begin_receive(other.queue, TASKS)
            await harness.let_time_pass(0)
            committing = harness.begin(backend.committer.commit(step))
            found = await harness.finish(waiting)
            assert ids_of(found) == [f"task of {version}"]
            assert (await read_head(other.store, ORDER)).version >= version
            await harness.finish(committing)

    async def test_c1_whoever_receives_a_start_finds_the_instance(self, harness: Harness) -> None:
        """A wake-up for nobody is dropped, and the child would sleep until the sweeper comes."""
        backend, other = await harness.open_backend(), await harness.open_backend()

        for number in range(10):
            step = Step(create=(child(f"child-{number}", f"inc-{number}"),))
            waiting = harness.begin_receive(other.queue, TURNS)
            await harness.let_time_pass(0)
            committing = harness.begin(backend.committer.commit(step))
            (found,) = await harness.finish(waiting)
            assert await is_there(other, found.envelope.group)
            await harness.finish(committing)

    async def test_c2_an_input_is_gone_only_when_the_outbox_is_there(self, harness: Harness) -> None:
        """Both at the end; and until then one of them."""
        backend, other = await harness.open_backend(), await harness.open_backend()

        for number in range(5):
            key = Key(f"order-{number}")
            held = await begin_turn(harness, backend, key)
            await backend.committer.commit(turn(held, key))
            assert await left_over(harness, other) == [
                f"mail of {key}",
                f"task of {key}",
                f"wake {key}/child for {key}",
            ]

    async def test_c2_a_lost_input_is_told_and_the_rest_is_done(self, harness: Harness) -> None:
        """The lease ended while the turn ran. The record is true all the same; the input will be a duplicate."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        if not backend.queue.capabilities["turns"].detects_lost_lease:
            pytest.skip("detects_lost_lease is not declared for turns")
        held = await begin_turn(harness, backend)
        await backend.queue.abandon([held])
        again = await harness.receive_one(other.queue, TURNS, worker="other")

        done = await backend.committer.commit(turn(held))

        assert isinstance(done, Done)
        assert (done.version, done.completed) == (2, (False,))
        assert await other.queue.complete([again]) == [True]

    async def test_c3_a_step_over_a_limit_of_the_store_is_refused_as_a_whole(self, harness: Harness) -> None:
        """`Misuse` means that nothing was done."""
        backend = await harness.open_backend()
        size = at_limit(backend.store.capabilities.record_bytes_max, "record_bytes_max")
        held = await begin_turn(harness, backend)
        large = addition(ORDER, 1, record=bytes(size + 1))

        with pytest.raises(Misuse):
            await backend.committer.commit(Step(append=large, send=turn(held).send, complete=(held,)))

        assert await turn_ids(backend) == ["create"]
        assert await left_over(harness, backend) == []
        assert await backend.queue.complete([held]) == [True]

    async def test_c3_a_step_with_a_child_over_a_limit_is_refused_as_a_whole(self, harness: Harness) -> None:
        """The parent's record must not name a child that can never be created."""
        backend = await harness.open_backend()
        size = at_limit(backend.store.capabilities.record_bytes_max, "record_bytes_max")
        held = await begin_turn(harness, backend)
        step, large = turn(held), child("large", "large")
        large_append = creation(Key("large"), "large", record=bytes(size + 1))
        create = (*step.create, type(large)(append=large_append, then=large.then, otherwise=large.otherwise))

        with pytest.raises(Misuse):
            await backend.committer.commit(Step(append=step.append, create=create, complete=(held,)))

        assert await turn_ids(backend) == ["create"]
        assert not await is_there(backend, "order-4711/child")
        assert await left_over(harness, backend) == []

    async def test_c3_a_step_with_a_message_over_a_limit_is_refused_as_a_whole(self, harness: Harness) -> None:
        """Recorded but never to be sent, it would be a task that nobody ever does."""
        backend = await harness.open_backend()
        size = at_limit(backend.queue.capabilities[queue_class(TASKS)].body_bytes_max, "body_bytes_max")
        held = await begin_turn(harness, backend)
        step = turn(held)
        send = (*step.send, message(TASKS, "large", body=bytes(size + 1)))

        with pytest.raises(Misuse):
            await backend.committer.commit(Step(append=step.append, create=step.create, send=send, complete=(held,)))

        assert await turn_ids(backend) == ["create"]
        assert not await is_there(backend, "order-4711/child")
        assert await left_over(harness, backend) == []

    @pytest.mark.parametrize("which", ["then", "otherwise"])
    async def test_c3_a_step_whose_child_brings_a_message_over_a_limit_is_refused_as_a_whole(
        self, harness: Harness, which: str
    ) -> None:
        """Created but never to be woken, the child would keep its parent waiting for ever."""
        backend = await harness.open_backend()
        size = at_limit(backend.queue.capabilities[queue_class(TURNS)].body_bytes_max, "body_bytes_max")
        held = await begin_turn(harness, backend)
        small = child("large")
        messages = {"then": small.then, "otherwise": small.otherwise, which: message(TURNS, body=bytes(size + 1))}
        large = Create(append=small.append, **messages)

        with pytest.raises(Misuse):
            await backend.committer.commit(Step(append=turn(held).append, create=(large,), complete=(held,)))

        assert await turn_ids(backend) == ["create"]
        assert not await is_there(backend, "large")
        assert await left_over(harness, backend) == []

    async def test_c3_a_cancelled_step_is_done_as_a_whole_or_not_at_all(self, harness: Harness) -> None:
        """A worker is stopped at any await; where a Step is atomic nobody ever sees half of one."""
        backend, other = await harness.open_backend(), await harness.open_backend()
        if not backend.committer.capabilities.atomic:
            pytest.skip("atomic is not declared")

        for ticks in range(12):
            key = Key(f"order-{ticks}")
            held = await begin_turn(harness, backend, key)
            task = harness.begin(backend.committer.commit(turn(held, key)))
            for _ in range(ticks):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # What was under way when it was cancelled may still end; that it is cut in two may not.
            await harness.let_time_pass(0.1)
            await backend.queue.abandon([held])
            found = await left_over(harness, other)
            whole = [f"mail of {key}", f"task of {key}", f"wake {key}/child for {key}"]
            is_recorded = await turn_ids(other, key) == ["create", "turn"]
            assert await is_there(other, f"{key}/child") == is_recorded
            assert found == (whole if is_recorded else [f"input of {key}"])
