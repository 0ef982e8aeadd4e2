"""Q4, Q5 and Q10 at the end of a hold: given back for too long, held for as long as is allowed, and put aside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Delivery, Misuse, QueueName, WorkQueue
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["HoldingClauses"]

TOTAL_TRIED_SECONDS = 5.0
RENEWALS_MAX = 200


class HoldingClauses(QueueContract):
    """Giving back for longer than is kept, holding for as long as is allowed, and making way."""

    async def test_q4_a_delay_past_the_limit_is_refused_and_nothing_is_given_back(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Kept for shorter in silence, whoever backs off would come back early, and never learn why."""
        queue = await harness.open_queue()
        limit = limits_of(queue, name).delay_seconds_max
        if math.isinf(limit):
            pytest.skip("delay_seconds_max is infinite")
        await queue.send([message(name, "one"), message(name, "two")])
        held = await harness.receive_many(queue, name, 2)

        with pytest.raises(Misuse):
            await queue.abandon(held, delay_seconds=limit + 1)

        assert await harness.look(queue, name) == []
        assert await queue.complete(held) == [True, True]

    async def test_q4_the_longest_delay_of_what_is_given_back_is_kept(self, harness: Harness, name: QueueName) -> None:
        """At the limit it is accepted, and it hides the message now."""
        queue = await harness.open_queue()
        limit = limits_of(queue, name).delay_seconds_max
        if math.isinf(limit):
            pytest.skip("delay_seconds_max is infinite")
        await queue.send([message(name)])
        held = await harness.receive_one(queue, name)

        await queue.abandon([held], delay_seconds=limit)

        assert limit < harness.moment or await harness.look(queue, name) == []

    async def test_q5_the_longest_time_to_hold_counts_from_the_last_receive(
        self, harness: Harness, name: QueueName
    ) -> None:
        """A message that waited for long, or that others held for long, is held by its next holder as long as any."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        limits = limits_of(holder, name)
        total = limits.lease_total_seconds_max
        if math.isinf(total) or (total > TOTAL_TRIED_SECONDS and not harness.time_is_virtual):
            pytest.skip(f"lease_total_seconds_max={total} is longer than is tried")
        lease = min(total, limits.lease_seconds_max)
        await holder.send([message(name)])

        for _ in range(2):
            held = await harness.receive_one(holder, name, lease_seconds=lease, worker="holder")
            await self._hold(harness, holder, held, lease, 0.7 * total)
            assert await harness.look(other, name, worker="other") == []
            await holder.abandon([held])

        assert ids_of([await harness.receive_one(other, name, worker="other")]) == ["m-1"]

    async def test_q10_a_waiting_receive_ends_as_soon_as_what_is_before_it_is_put_aside(
        self, harness: Harness, name: QueueName
    ) -> None:
        """A damaged message that holds up its group is out of the way now, not when its lease would have ended."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        if not limits_of(holder, name).exclusive_groups:
            pytest.skip("exclusive_groups is not declared")
        await holder.send([message(name, "damaged", group="one"), message(name, "next", group="one")])
        held = await harness.receive_one(holder, name, worker="holder")
        waiting = harness.begin_receive(other, name, worker="other")
        await harness.let_time_pass(0.05)
        assert not waiting.done()

        await holder.dead_letter([held], "damaged")

        assert ids_of(await harness.finish(waiting)) == ["next"]

    async def _hold(
        self, harness: Harness, queue: WorkQueue, held: Delivery, lease_seconds: float, seconds: float
    ) -> None:
        """Hold a message for so long, by renewing its lease in good time."""
        count = math.ceil(seconds / (lease_seconds / 2))
        assert count <= RENEWALS_MAX, f"a total of {seconds} seconds by leases of {lease_seconds} is too much to try"
        for _ in range(count):
            await harness.let_time_pass(seconds / count)
            assert await queue.renew([held], lease_seconds) == [True]
