"""Q3 and Q4: not before its time, and again with a higher count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.spi import Misuse, QueueName
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["DelayClauses"]

GRAIN_SECONDS = 0.01
"""Services and files keep times in milliseconds."""


class DelayClauses(QueueContract):
    """Messages for later, and messages that come back."""

    async def test_q3_a_message_for_later_is_not_received_now(self, harness: Harness, name: QueueName) -> None:
        """A timer that fires at once is worse than none."""
        queue = await harness.open_queue()
        hour = min(3600.0, limits_of(queue, name).delay_seconds_max)

        await queue.send([message(name, not_before=harness.environment.clock.now() + hour)])

        assert await harness.look(queue, name) == []

    async def test_q3_a_message_for_later_is_received_when_its_time_has_come(
        self, harness: Harness, name: QueueName
    ) -> None:
        """By whoever waits for it, and not earlier."""
        queue, clock = await harness.open_queue(), harness.environment.clock
        due = clock.now() + 2 * harness.moment

        await queue.send([message(name, not_before=due)])
        found = await harness.receive_one(queue, name)

        assert clock.now() >= due - GRAIN_SECONDS
        assert (found.envelope.message_id, found.delivery_count) == ("m-1", 1)

    @pytest.mark.parametrize("seconds_ago", [0.0, 1.0, 1e6])
    async def test_q3_a_message_whose_time_is_over_is_received_at_once(
        self, harness: Harness, name: QueueName, seconds_ago: float
    ) -> None:
        """A timer that was due while every worker was down."""
        queue = await harness.open_queue()

        await queue.send([message(name, not_before=harness.environment.clock.now() - seconds_ago)])

        assert ids_of([await harness.receive_one(queue, name)]) == ["m-1"]

    async def test_q3_a_message_for_later_does_not_hold_up_others(self, harness: Harness, name: QueueName) -> None:
        """A queue in the order of sending has its head blocked for an hour."""
        queue = await harness.open_queue()
        due = harness.environment.clock.now() + min(3600.0, limits_of(queue, name).delay_seconds_max)

        await queue.send([message(name, "later", not_before=due), message(name, "now")])

        assert ids_of([await harness.receive_one(queue, name)]) == ["now"]
        assert await harness.look(queue, name) == []

    async def test_q3_messages_for_later_come_in_the_order_of_their_times(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Each at its own time, whichever was sent first."""
        queue, clock = await harness.open_queue(), harness.environment.clock
        start = clock.now()
        due = {"second": start + 2 * harness.moment, "first": start + harness.moment}

        await queue.send([message(name, one, not_before=due[one]) for one in due])

        for _ in due:
            found = await harness.receive_one(queue, name)
            assert clock.now() >= due[found.envelope.message_id] - GRAIN_SECONDS

    async def test_q3_the_longest_delay_is_kept(self, harness: Harness, name: QueueName) -> None:
        """At the limit it is accepted, and it hides the message now."""
        queue = await harness.open_queue()
        limit = limits_of(queue, name).delay_seconds_max
        if limit == float("inf"):
            pytest.skip("delay_seconds_max is infinite")

        outcomes = await queue.send([message(name, not_before=harness.environment.clock.now() + limit)])

        assert outcomes[0].error is None
        assert limit < harness.moment or await harness.look(queue, name) == []

    async def test_q3_a_delay_past_the_limit_is_refused_and_nothing_is_sent(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Kept for shorter in silence, the timer would fire early; core sends long delays in hops."""
        queue = await harness.open_queue()
        limit = limits_of(queue, name).delay_seconds_max
        if limit == float("inf"):
            pytest.skip("delay_seconds_max is infinite")
        too_late = harness.environment.clock.now() + limit + 3600

        with pytest.raises(Misuse):
            await queue.send([message(name, "fine"), message(name, "too late", not_before=too_late)])

        assert await harness.look(queue, name) == []

    async def test_q4_after_its_lease_a_message_is_received_with_a_higher_count(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The count is how a worker notices a message that kills workers."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        await queue.send([message(name)])

        counts: list[int] = []
        for client in (queue, other, queue):
            found = await harness.receive_one(client, name, lease_seconds=harness.moment)
            counts.append(found.delivery_count)
            await harness.let_time_pass(1.5 * harness.moment)

        assert counts[0] == 1
        assert counts == sorted(set(counts))

    async def test_q4_a_message_comes_back_by_itself_to_whoever_waits(self, harness: Harness, name: QueueName) -> None:
        """Nothing is sent when a lease ends; a waiting worker must notice all the same."""
        dying, waiting = await harness.open_queue(), await harness.open_queue()
        await dying.send([message(name)])
        await harness.receive_one(dying, name, lease_seconds=harness.moment, worker="dying")

        found = await harness.receive_one(waiting, name, worker="waiting")

        assert found.delivery_count > 1

    async def test_q4_an_abandoned_message_is_there_at_once_with_a_higher_count(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The worker shuts down in good order and gives back what it holds."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        await queue.send([message(name)])

        counts: list[int] = []
        for client in (queue, other, queue):
            found = await harness.receive_one(client, name)
            counts.append(found.delivery_count)
            await client.abandon([found])

        assert counts[0] == 1
        assert counts == sorted(set(counts))

    async def test_q4_an_abandoned_message_does_not_come_before_the_asked_delay(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Back-off after a failure."""
        queue, clock = await harness.open_queue(), harness.environment.clock
        await queue.send([message(name)])
        found = await harness.receive_one(queue, name)
        asked = clock.monotonic()

        await queue.abandon([found], delay_seconds=2 * harness.moment)
        again = await harness.receive_one(queue, name)

        assert clock.monotonic() >= asked + 2 * harness.moment - GRAIN_SECONDS
        assert again.delivery_count > found.delivery_count

    async def test_q4_an_abandoned_message_stays_away_for_a_long_delay(self, harness: Harness, name: QueueName) -> None:
        """Longer than the lease that it was given back from."""
        queue = await harness.open_queue()
        await queue.send([message(name)])
        found = await harness.receive_one(queue, name, lease_seconds=2 * harness.moment)

        await queue.abandon([found], delay_seconds=min(600.0, limits_of(queue, name).delay_seconds_max))
        await harness.let_time_pass(3 * harness.moment)

        assert await harness.look(queue, name) == []

    async def test_q4_abandoning_what_is_no_longer_held_is_passed_over(self, harness: Harness, name: QueueName) -> None:
        """A worker cleans up after itself without knowing what it still has."""
        queue = await harness.open_queue()
        await queue.send([message(name, "done"), message(name, "back"), message(name, "held")])
        held = {found.envelope.message_id: found for found in await harness.receive_many(queue, name, 3)}
        await queue.complete([held["done"]])
        await queue.abandon([held["back"]], delay_seconds=min(600.0, limits_of(queue, name).delay_seconds_max))

        await queue.abandon(list(held.values()))
        await queue.abandon([])

        assert ids_of([await harness.receive_one(queue, name)]) == ["held"]
        assert await harness.look(queue, name) == []

    async def test_q4_abandoning_a_lost_lease_does_not_take_the_message_from_its_new_holder(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The old holder wakes up late and is polite about it."""
        old, new = await harness.open_queue(), await harness.open_queue()
        if not limits_of(old, name).detects_lost_lease:
            pytest.skip("detects_lost_lease is not declared")
        await old.send([message(name)])
        lost = await harness.receive_one(old, name, lease_seconds=harness.moment, worker="old")
        await harness.let_time_pass(2 * harness.moment)
        await harness.receive_one(new, name, worker="new")

        await old.abandon([lost])

        assert await harness.look(old, name, worker="third") == []
