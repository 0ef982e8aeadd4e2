"""Q5: a lease lasts as long as it is renewed, and a lost one is told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Delivery, Misuse, QueueName, WorkQueue
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["LeaseClauses"]

SAFE_SECONDS = 2.0
"""A lease that a slow machine does not lose before its first renewal."""

TOTAL_TRIED_SECONDS = 5.0


class LeaseClauses(QueueContract):
    """Holding a message for long, and losing it."""

    async def test_q5_a_renewed_lease_lasts_longer_than_the_first_one(self, harness: Harness, name: QueueName) -> None:
        """An activity may take hours on a lease of seconds."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        await holder.send([message(name)])
        held = await harness.receive_one(holder, name, lease_seconds=SAFE_SECONDS, worker="holder")

        assert await holder.renew([held], 60) == [True]
        await harness.let_time_pass(1.2 * SAFE_SECONDS)

        assert await harness.look(other, name, worker="other") == []
        assert await holder.complete([held]) == [True]

    async def test_q5_renewals_count_from_now_and_do_not_add_up(self, harness: Harness, name: QueueName) -> None:
        """A worker that renewed a hundred times and died must not keep its message for a hundred leases."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        await holder.send([message(name)])
        held = await harness.receive_one(holder, name, lease_seconds=SAFE_SECONDS, worker="holder")

        for _ in range(10):
            assert await holder.renew([held], SAFE_SECONDS) == [True]
        await harness.let_time_pass(1.2 * SAFE_SECONDS)

        assert ids_of([await harness.receive_one(other, name, worker="other")]) == ["m-1"]

    async def test_q5_a_renewal_is_no_delivery(self, harness: Harness, name: QueueName) -> None:
        """Renewing for a day must not look like a message that kills workers."""
        queue = await harness.open_queue()
        await queue.send([message(name)])
        held = await harness.receive_one(queue, name)
        for _ in range(20):
            assert await queue.renew([held], 60) == [True]

        await queue.abandon([held])

        assert 1 < (await harness.receive_one(queue, name)).delivery_count < 20

    async def test_q5_renewals_answer_for_each_delivery_in_order(self, harness: Harness, name: QueueName) -> None:
        """One lost lease among many must stop one activity and no other."""
        queue = await harness.open_queue()
        if not limits_of(queue, name).detects_lost_lease:
            pytest.skip("detects_lost_lease is not declared")
        await queue.send([message(name, f"m-{number}") for number in range(4)])
        held = await harness.receive_many(queue, name, 4)
        await queue.complete([held[1]])
        await queue.abandon([held[3]])

        assert await queue.renew(held, 60) == [True, False, True, False]
        assert await queue.renew([], 60) == []

    async def test_q5_a_lease_that_ended_is_told(self, harness: Harness, name: QueueName) -> None:
        """Whoever was asleep must stop: another worker may have the message by now."""
        queue = await harness.open_queue()
        lost = await self._lose(harness, queue, name)

        assert await queue.renew([lost], 60) == [False]
        assert await queue.complete([lost]) == [False]

    async def test_q5_a_lease_that_another_has_is_told_and_left_alone(self, harness: Harness, name: QueueName) -> None:
        """The old holder can neither renew nor delete what the new one works on."""
        old, new = await harness.open_queue(), await harness.open_queue()
        lost = await self._lose(harness, old, name)
        held = await harness.receive_one(new, name, worker="new")

        assert await old.renew([lost], 60) == [False]
        assert await old.complete([lost]) == [False]

        assert await new.renew([held], 60) == [True]
        await new.abandon([held])
        assert (await harness.receive_one(new, name, worker="third")).delivery_count > held.delivery_count

    async def test_q5_completions_answer_for_each_delivery_in_order(self, harness: Harness, name: QueueName) -> None:
        """The others of the batch are deleted all the same."""
        queue = await harness.open_queue()
        lost = await self._lose(harness, queue, name)
        again = await harness.receive_one(queue, name, worker="new")
        await queue.send([message(name, "m-2"), message(name, "m-3")])
        held = await harness.receive_many(queue, name, 2)

        assert await queue.complete([held[0], lost, held[1]]) == [True, False, True]
        assert await queue.complete([]) == []
        await queue.abandon([again])
        assert ids_of(await harness.look(queue, name)) == ["m-1"]

    async def test_q5_a_lease_at_the_limit_is_given_and_one_past_it_is_refused(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Given for shorter in silence, it would end under a running activity."""
        queue = await harness.open_queue()
        limit = limits_of(queue, name).lease_seconds_max
        await queue.send([message(name)])

        if not math.isinf(limit):
            with pytest.raises(Misuse):
                await harness.finish(harness.begin_receive(queue, name, lease_seconds=limit + 1, wait_seconds=0))
        held = await harness.receive_one(queue, name, lease_seconds=min(limit, 1e9))
        if not math.isinf(limit):
            with pytest.raises(Misuse):
                await queue.renew([held], limit + 1)
        assert await queue.renew([held], min(limit, 1e9)) == [True]

    async def test_q5_a_delivery_tells_when_its_lease_ends_on_its_own_clock(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The worker plans renewals by it; wall time may jump."""
        queue, clock = await harness.open_queue(), harness.environment.clock
        await queue.send([message(name)])

        before = clock.monotonic()
        held = await harness.receive_one(queue, name, lease_seconds=60)

        assert before + 59 <= held.lease_until <= clock.monotonic() + 61

    async def test_q5_no_renewal_goes_beyond_the_longest_time_to_hold(self, harness: Harness, name: QueueName) -> None:
        """A service ends a lease for good after its maximum; the declared number says when."""
        queue = await harness.open_queue()
        limits = limits_of(queue, name)
        total = limits.lease_total_seconds_max
        if math.isinf(total) or (total > TOTAL_TRIED_SECONDS and not harness.time_is_virtual):
            pytest.skip(f"lease_total_seconds_max={total} is longer than is tried")
        await queue.send([message(name)])
        held = await harness.receive_one(queue, name, lease_seconds=min(total, limits.lease_seconds_max))

        passed, step = 0.0, min(total, limits.lease_seconds_max) / 2
        while passed + step < total:
            await harness.let_time_pass(step)
            passed += step
            assert await queue.renew([held], min(total, limits.lease_seconds_max)) == [True]
        await harness.let_time_pass(step + 1)

        assert (await harness.receive_one(queue, name, worker="new")).delivery_count > 1

    async def _lose(self, harness: Harness, queue: WorkQueue, name: QueueName) -> Delivery:
        """Send a message, receive it, and let its lease end."""
        if not limits_of(queue, name).detects_lost_lease:
            pytest.skip("detects_lost_lease is not declared")
        await queue.send([message(name)])
        lost = await harness.receive_one(queue, name, lease_seconds=harness.moment, worker="old")
        await harness.let_time_pass(2 * harness.moment)
        return lost
