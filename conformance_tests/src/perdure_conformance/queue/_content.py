"""Q6 and Q8: what arrives is what was sent, and a batch answers for each."""

from __future__ import annotations

import pytest

from perdure.spi import Envelope, Key, Misuse, QueueName
from perdure_conformance.harness import Harness, at_limit
from perdure_conformance.material import KEYS, ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

__all__ = ["ContentClauses"]

BODIES = {
    "empty": b"",
    "null": b"\x00",
    "every byte": bytes(range(256)),
    "line ends": b"\r\n\n\r\x1a",
    "spaces around": b" \t body \n\n ",
    "not utf-8": b"\xff\xfe\xc3\x28",
    "looks like base64": b"aGVsbG8=",
    "sixteen kilobytes": bytes(range(256)) * 64,
}


class ContentClauses(QueueContract):
    """Bodies, names, limits, batches."""

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
    async def test_q6_a_body_arrives_byte_for_byte(self, harness: Harness, name: QueueName, body: bytes) -> None:
        """Services that carry text need an encoding, and it must be undone exactly."""
        queue, receiver = await harness.open_queue(), await harness.open_queue()
        if len(body) > limits_of(queue, name).body_bytes_max:
            pytest.skip("body_bytes_max is below this body")

        await queue.send([message(name, body=body)])

        assert (await harness.receive_one(receiver, name)).envelope.body == body

    async def test_q6_id_group_and_partition_arrive_unchanged(self, harness: Harness, name: QueueName) -> None:
        """A duplicate is recognised by its id, an instance by its group; both may hold any text."""
        queue = await harness.open_queue()
        sent = {
            f"{key}/0/{number}": Envelope(
                queue=name, message_id=f"{key}/0/{number}", group=key, body=b"x", partition=number
            )
            for number, key in enumerate(KEYS.values())
        }

        await queue.send(list(sent.values()))

        received = [found.envelope for found in await harness.receive_many(queue, name, len(sent))]
        assert len(received) == len(sent)
        for found in received:
            expected = sent[found.message_id]
            assert (found.queue, found.group, found.body, found.partition) == (
                name,
                expected.group,
                b"x",
                expected.partition,
            )

    async def test_q6_a_message_is_the_same_each_time_it_is_received(self, harness: Harness, name: QueueName) -> None:
        """Also the fifth time, and from another client."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        await queue.send([message(name, "m/ü", group="a/b", body=b"\x00\xff")])

        first = await harness.receive_one(queue, name)
        await queue.abandon([first])
        second = await harness.receive_one(other, name)

        assert second.envelope == first.envelope

    async def test_q6_a_body_at_the_limit_arrives(self, harness: Harness, name: QueueName) -> None:
        """Encoding and headers are the queue's business and not in the number."""
        queue = await harness.open_queue()
        size = at_limit(limits_of(queue, name).body_bytes_max, "body_bytes_max")
        longest = message(name, "i" * 64, group=KEYS["256 emoji"], body=b"\xff" * size)

        outcomes = await queue.send([longest])

        assert [outcome.error for outcome in outcomes] == [None]
        assert (await harness.receive_one(queue, name)).envelope.body == b"\xff" * size

    async def test_q6_one_byte_more_is_refused_before_anything_is_sent(self, harness: Harness, name: QueueName) -> None:
        """The limit is in the message, and the other messages of the batch were not sent either."""
        queue = await harness.open_queue()
        size = at_limit(limits_of(queue, name).body_bytes_max, "body_bytes_max")

        with pytest.raises(Misuse, match=str(size)):
            await queue.send([message(name, "fine"), message(name, "large", body=bytes(size + 1))])

        assert await harness.look(queue, name) == []

    async def test_q8_a_batch_answers_for_each_message_in_order(self, harness: Harness, name: QueueName) -> None:
        """By the place in the batch the committer knows which one failed."""
        queue = await harness.open_queue()
        ids = [f"m-{number}" for number in (3, 1, 2)]

        outcomes = await queue.send([message(name, one) for one in ids])

        assert [(outcome.message_id, outcome.error) for outcome in outcomes] == [(one, None) for one in ids]

    async def test_q8_a_batch_may_be_larger_than_the_service_takes(self, harness: Harness, name: QueueName) -> None:
        """The queue cuts it; a fan-out of hundreds is one Step."""
        queue = await harness.open_queue()
        count = min(limits_of(queue, name).send_batch_max * 2 + 1, 250)
        ids = [f"m-{number}" for number in range(count)]

        outcomes = await queue.send([message(name, one) for one in ids])

        assert [outcome.message_id for outcome in outcomes if outcome.error is None] == ids
        assert sorted(ids_of(await harness.receive_many(queue, name, count))) == sorted(ids)

    async def test_q8_an_empty_batch_does_nothing(self, harness: Harness, name: QueueName) -> None:
        """A turn without an outbox."""
        queue = await harness.open_queue()

        assert await queue.send([]) == []
        assert await harness.look(queue, name) == []

    async def test_q8_a_batch_may_go_to_several_queues(self, harness: Harness) -> None:
        """One turn wakes a child, schedules two activities on different machines, and answers its parent."""
        queue = await harness.open_queue()
        names = [QueueName(one) for one in ("turns:default", "tasks:mail", "tasks:gpu", "turns:default")]

        outcomes = await queue.send([message(name, f"m-{number}") for number, name in enumerate(names)])

        assert [outcome.message_id for outcome in outcomes] == ["m-0", "m-1", "m-2", "m-3"]
        assert sorted(ids_of(await harness.receive_many(queue, names[0], 2))) == ["m-0", "m-3"]
        assert ids_of([await harness.receive_one(queue, names[1])]) == ["m-1"]
        assert ids_of([await harness.receive_one(queue, names[2])]) == ["m-2"]

    async def test_q8_deliveries_of_several_queues_are_completed_together(self, harness: Harness) -> None:
        """A turn that swallows its own activity's result completes both messages in one Step (R17)."""
        queue = await harness.open_queue()
        names = [QueueName("turns:default"), QueueName("tasks:mail")]
        await queue.send([message(name, group="order") for name in names])
        held = [await harness.receive_one(queue, name) for name in names]

        assert await queue.renew(held, 60) == [True, True]
        assert await queue.complete(held) == [True, True]

        for name in names:
            assert await harness.look(queue, name) == []

    async def test_q8_many_senders_at_once_lose_nothing(self, harness: Harness, name: QueueName) -> None:
        """Every worker sends while every other does."""
        queues = [await harness.open_queue() for _ in range(8)]

        async def send_ten(who: int) -> None:
            for number in range(10):
                outcome = await queues[who].send([message(name, f"{who}-{number}", group=Key(f"g-{who}-{number}"))])
                assert outcome[0].error is None

        for task in [harness.begin(send_ten(who)) for who in range(8)]:
            await harness.finish(task)

        received = ids_of(await harness.receive_many(queues[0], name, 80))
        assert sorted(received) == sorted(f"{who}-{number}" for who in range(8) for number in range(10))
