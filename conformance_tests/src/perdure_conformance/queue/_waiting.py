"""Q10: a receive ends when there is a message, and in any case in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure.spi import Misuse, QueueName
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["WaitingClauses"]


class WaitingClauses(QueueContract):
    """Waiting for messages."""

    async def test_q10_a_receive_that_does_not_wait_looks_once(self, harness: Harness, name: QueueName) -> None:
        """A worker that has other things to do."""
        queue = await harness.open_queue()

        looking = harness.begin_receive(queue, name, wait_seconds=0)

        assert await harness.finish(looking) == []

    async def test_q10_a_receive_ends_in_time_when_nothing_comes(self, harness: Harness, name: QueueName) -> None:
        """A worker that stops waits for its last receive."""
        queue, clock = await harness.open_queue(), harness.environment.clock
        begun = clock.monotonic()

        assert await harness.finish(harness.begin_receive(queue, name, wait_seconds=harness.moment)) == []

        assert clock.monotonic() - begun < harness.moment + 10

    async def test_q10_a_waiting_receive_ends_as_soon_as_another_client_sends(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The pace of every orchestration is this one: send, wake, next turn."""
        receiver, sender = await harness.open_queue(), await harness.open_queue()
        waiting = harness.begin_receive(receiver, name)
        await harness.let_time_pass(0.05)
        assert not waiting.done()

        await sender.send([message(name)])

        assert ids_of(await harness.finish(waiting)) == ["m-1"]

    async def test_q10_a_waiting_receive_ends_as_soon_as_a_message_is_given_back(
        self, harness: Harness, name: QueueName
    ) -> None:
        """A worker that shuts down hands its work to one that waits."""
        stopping, other = await harness.open_queue(), await harness.open_queue()
        await stopping.send([message(name)])
        held = await harness.receive_one(stopping, name, lease_seconds=60, worker="stopping")
        waiting = harness.begin_receive(other, name, worker="other")
        await harness.let_time_pass(0.05)
        assert not waiting.done()

        await stopping.abandon([held])

        assert ids_of(await harness.finish(waiting)) == ["m-1"]

    async def test_q10_of_two_who_wait_one_gets_the_message(self, harness: Harness, name: QueueName) -> None:
        """The other goes on waiting, and gets the next one."""
        queues = [await harness.open_queue() for _ in range(3)]
        waiting = [harness.begin_receive(queue, name, worker=f"w-{who}") for who, queue in enumerate(queues[:2])]
        await harness.let_time_pass(0.05)

        await queues[2].send([message(name, "m-1")])
        done, _ = await harness.finish(asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED))
        assert len(done) == 1
        await queues[2].send([message(name, "m-2")])

        received = [await harness.finish(task) for task in waiting]
        assert sorted(ids_of(found)[0] for found in received) == ["m-1", "m-2"]

    async def test_q10_a_receive_gives_at_most_what_was_asked_for(self, harness: Harness, name: QueueName) -> None:
        """A worker that takes more than it can work on lets leases end."""
        queue = await harness.open_queue()
        await queue.send([message(name, f"m-{number}") for number in range(5)])

        assert len(await harness.finish(harness.begin_receive(queue, name, limit=2))) in {1, 2}

    async def test_q10_a_receive_may_ask_for_more_than_the_service_gives(
        self, harness: Harness, name: QueueName
    ) -> None:
        """It then gets fewer."""
        queue = await harness.open_queue()
        await queue.send([message(name, f"m-{number}") for number in range(3)])

        found = await harness.finish(
            harness.begin_receive(queue, name, limit=limits_of(queue, name).receive_batch_max + 1)
        )

        assert 1 <= len(found) <= 3

    async def test_q10_no_message_is_passed_over_for_ever(self, harness: Harness, name: QueueName) -> None:
        """Order is not promised; that each has its turn, while there are others, is."""
        queue = await harness.open_queue()
        sent = [f"m-{number}" for number in range(20)]
        for one in sent:
            await queue.send([message(name, one)])

        received: list[str] = []
        for _ in sent:
            found = await harness.receive_one(queue, name)
            received.append(found.envelope.message_id)
            await queue.complete([found])

        assert sorted(received) == sorted(sent)

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_q10_asking_for_nothing_is_refused(self, harness: Harness, name: QueueName, limit: int) -> None:
        """It would wait the whole time and never succeed."""
        queue = await harness.open_queue()

        with pytest.raises(Misuse):
            await harness.finish(harness.begin_receive(queue, name, limit=limit, wait_seconds=0))

    @pytest.mark.parametrize("lease_seconds", [0.0, -1.0])
    async def test_q10_a_lease_of_nothing_is_refused(
        self, harness: Harness, name: QueueName, lease_seconds: float
    ) -> None:
        """The message would be with everybody at once."""
        queue = await harness.open_queue()
        await queue.send([message(name)])

        with pytest.raises(Misuse):
            await harness.finish(harness.begin_receive(queue, name, lease_seconds=lease_seconds, wait_seconds=0))

        assert ids_of([await harness.receive_one(queue, name)]) == ["m-1"]

    async def test_q10_a_cancelled_wait_leaves_the_queue_usable(self, harness: Harness, name: QueueName) -> None:
        """Workers stop and start."""
        queue = await harness.open_queue()
        waiting = harness.begin_receive(queue, name)
        await harness.let_time_pass(0.05)

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await queue.send([message(name)])

        assert ids_of([await harness.receive_one(queue, name)]) == ["m-1"]
