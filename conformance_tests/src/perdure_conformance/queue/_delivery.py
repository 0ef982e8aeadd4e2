"""Q1, Q2 and Q11: what was sent is received until it is completed, by one at a time, as often as it was sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure.spi import QueueName, WorkerId, WorkQueue
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["DeliveryClauses"]


class DeliveryClauses(QueueContract):
    """Sending, receiving, completing."""

    async def test_q1_a_message_that_was_sent_is_received_by_another_client(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Whoever sends a turn's outbox seldom runs the activity."""
        sender, receiver = await harness.open_queue(), await harness.open_queue()
        sent = message(name)

        await sender.send([sent])

        found = await harness.receive_one(receiver, name)
        assert (found.envelope.message_id, found.envelope.body, found.delivery_count) == ("m-1", b"wake", 1)

    async def test_q1_a_message_outlives_the_client_that_sent_it(self, harness: Harness, name: QueueName) -> None:
        """A client starts an orchestration and exits."""
        receiver, sender = await harness.open_queue(), await harness.open_queue()
        await sender.send([message(name)])

        await sender.aclose()
        await sender.aclose()

        assert ids_of([await harness.receive_one(receiver, name)]) == ["m-1"]

    async def test_q1_a_message_whose_holder_is_gone_is_received_again(self, harness: Harness, name: QueueName) -> None:
        """A worker that died in the middle of a turn must not take its message along."""
        alive, dying = await harness.open_queue(), await harness.open_queue()
        await alive.send([message(name)])
        await harness.receive_one(dying, name, lease_seconds=harness.moment, worker="dying")

        await dying.aclose()
        await harness.let_time_pass(2 * harness.moment)

        again = await harness.receive_one(alive, name, worker="alive")
        assert again.envelope.message_id == "m-1"

    async def test_q1_a_message_is_received_again_and_again_until_it_is_completed(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Then never more."""
        queue = await harness.open_queue()
        await queue.send([message(name)])

        for _ in range(2):
            await queue.abandon([await harness.receive_one(queue, name)])
        completed = await queue.complete([await harness.receive_one(queue, name)])

        assert completed == [True]
        await harness.let_time_pass(2 * harness.moment)
        assert await harness.look(queue, name) == []

    async def test_q1_a_completed_message_stays_gone_after_its_lease_would_have_ended(
        self, harness: Harness, name: QueueName
    ) -> None:
        """What the lease hid and the completion deleted are two things."""
        queue = await harness.open_queue()
        await queue.send([message(name)])
        held = await harness.receive_one(queue, name, lease_seconds=5 * harness.moment)

        await queue.complete([held])
        await harness.let_time_pass(6 * harness.moment)

        assert await harness.look(queue, name) == []

    async def test_q1_sixty_messages_are_each_received_once_by_six_workers(
        self, harness: Harness, name: QueueName
    ) -> None:
        """All of them, and none twice, while every worker holds what it has (Q2)."""
        queues = [await harness.open_queue() for _ in range(6)]
        sent = [f"m-{number}" for number in range(60)]
        await queues[0].send([message(name, one) for one in sent])

        hauls = await harness.finish(_gather_all(queues, name))

        assert sorted(hauls) == sorted(sent)

    async def test_q1_a_cancelled_receive_loses_nothing(self, harness: Harness, name: QueueName) -> None:
        """A worker is stopped just when a message arrives: nobody has it, so it must come again."""
        queue, other = await harness.open_queue(), await harness.open_queue()

        for ticks in range(6):
            waiting = harness.begin_receive(queue, name, lease_seconds=harness.moment)
            await harness.let_time_pass(0.01)
            await other.send([message(name, f"m-{ticks}")])
            for _ in range(ticks):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        await harness.let_time_pass(2 * harness.moment)
        received = ids_of(await harness.receive_many(other, name, 6))
        assert sorted(received) == [f"m-{ticks}" for ticks in range(6)]

    async def test_q2_a_leased_message_is_hidden_from_others(self, harness: Harness, name: QueueName) -> None:
        """Two workers on one turn: one of them works in vain."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        await holder.send([message(name)])
        await harness.receive_one(holder, name, worker="holder")

        assert await harness.look(other, name, worker="other") == []

    async def test_q2_a_leased_message_is_hidden_from_its_holder_too(self, harness: Harness, name: QueueName) -> None:
        """It has it already; received again it would run beside itself."""
        queue = await harness.open_queue()
        await queue.send([message(name)])
        await harness.receive_one(queue, name)

        assert await harness.look(queue, name, worker="worker") == []

    async def test_q2_a_client_that_is_closed_gives_nothing_back(self, harness: Harness, name: QueueName) -> None:
        """Its process may still work on what it holds: only the end of the lease tells."""
        other, holder = await harness.open_queue(), await harness.open_queue()
        await holder.send([message(name)])
        await harness.receive_one(holder, name, worker="holder")

        await holder.aclose()

        assert await harness.look(other, name, worker="other") == []

    async def test_q2_of_sixteen_receivers_of_one_message_one_gets_it(self, harness: Harness, name: QueueName) -> None:
        """The race itself."""
        queues = [await harness.open_queue() for _ in range(16)]
        await queues[0].send([message(name)])

        calls = [
            harness.begin_receive(queue, name, wait_seconds=0, worker=f"w-{who}") for who, queue in enumerate(queues)
        ]
        found = [len(await harness.finish(call)) for call in calls]

        assert sorted(found) == [0] * 15 + [1]

    async def test_q11_a_message_sent_again_with_its_id_is_a_second_message(
        self, harness: Harness, name: QueueName
    ) -> None:
        """An outbox is sent again because nobody knows whether it was sent: swallowed, it may be lost for good."""
        queue, other = await harness.open_queue(), await harness.open_queue()

        await queue.send([message(name)])
        await other.send([message(name)])

        received = await harness.receive_many(queue, name, 2)
        assert ids_of(received) == ["m-1", "m-1"]
        assert await queue.complete(received) == [True, True]

    async def test_q11_a_message_sent_again_after_its_completion_is_received(
        self, harness: Harness, name: QueueName
    ) -> None:
        """A queue that remembers ids for five minutes swallows exactly the message that repairs a crash."""
        queue = await harness.open_queue()

        for _ in range(3):
            await queue.send([message(name)])
            assert await queue.complete([await harness.receive_one(queue, name)]) == [True]

    async def test_q11_one_id_twice_in_one_batch_is_two_messages(self, harness: Harness, name: QueueName) -> None:
        """Answers and effects are per message, whatever it is called."""
        queue = await harness.open_queue()

        outcomes = await queue.send([message(name, body=b"one"), message(name, body=b"two")])

        assert [(outcome.message_id, outcome.error) for outcome in outcomes] == [("m-1", None)] * 2
        received = await harness.receive_many(queue, name, 2)
        assert sorted(found.envelope.body for found in received) == [b"one", b"two"]

    async def test_q11_completing_one_of_two_with_the_same_id_leaves_the_other(
        self, harness: Harness, name: QueueName
    ) -> None:
        """A receipt speaks of a delivery, not of an id."""
        queue = await harness.open_queue()
        await queue.send([message(name), message(name)])
        one, other = await harness.receive_many(queue, name, 2)

        await queue.complete([one])
        await queue.abandon([other])

        assert ids_of([await harness.receive_one(queue, name)]) == ["m-1"]
        assert await harness.look(queue, name) == []


async def _gather_all(queues: list[WorkQueue], name: QueueName) -> list[str]:
    """Let each queue receive until nothing comes for a while, and tell the ids of all that came."""

    async def work(who: int) -> list[str]:
        ids: list[str] = []
        while found := await queues[who].receive(
            name, limit=3, lease_seconds=600, wait_seconds=1, worker=WorkerId(f"w-{who}")
        ):
            ids += ids_of(found)
        return ids

    return [one for ids in await asyncio.gather(*map(work, range(len(queues)))) for one in ids]
