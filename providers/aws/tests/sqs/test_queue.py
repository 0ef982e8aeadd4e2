"""What is SQS's own: requests and what they cost, queues that come and go, and messages of others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from _aws_harnesses import BUCKET
from perdure_conformance.material import TASKS, TURNS, ids_of, message

from perdure.spi import Misuse, QueueName, Unavailable, WorkerId
from perdure_aws import SqsQueue
from perdure_aws._settings import Place
from perdure_aws.sqs._limits import POLL_SECONDS_MAX
from perdure_aws.sqs._messages import write_message
from perdure_aws.sqs._names import QueueNames, queue_names

if TYPE_CHECKING:
    from _aws_harnesses import AwsHarness

REQUESTS_PER_MESSAGE_MAX = 1.3


def names_of(harness: AwsHarness, queue: QueueName) -> QueueNames:
    return queue_names(Place(BUCKET, harness.prefix), queue)


async def open_queue(harness: AwsHarness) -> SqsQueue:
    queue = await harness.open_queue()
    assert isinstance(queue, SqsQueue)
    return queue


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_under_load_a_message_costs_no_more_than_its_budget(harness: AwsHarness) -> None:
    """Forty instances at a time, each sends a message and completes one: as a worker's turns do, none in a batch."""
    queue = await open_queue(harness)
    count, at_once = 400, asyncio.Semaphore(40)
    await queue.send([message(TURNS, "first")])
    await queue.complete(await queue.receive(TURNS, limit=1, lease_seconds=60, wait_seconds=5, worker=WorkerId("w")))
    before = sum(queue.requests.values())

    async def send_one(number: int) -> None:
        async with at_once:
            (outcome,) = await queue.send([message(TURNS, f"m-{number}")])
            assert outcome.error is None

    async def complete_all() -> None:
        completing: list[asyncio.Task[list[bool]]] = []
        while len(completing) < count:
            found = await queue.receive(TURNS, limit=10, lease_seconds=60, wait_seconds=5, worker=WorkerId("w"))
            completing += [asyncio.create_task(queue.complete([each])) for each in found]
        assert await asyncio.gather(*completing) == [[True]] * count

    async with asyncio.timeout(60):
        await asyncio.gather(complete_all(), *map(send_one, range(count)))

    spent = sum(queue.requests.values()) - before
    assert spent / count <= REQUESTS_PER_MESSAGE_MAX, dict(queue.requests)


async def test_finding_a_queue_costs_four_requests_once(harness: AwsHarness) -> None:
    maker, queue = await open_queue(harness), await open_queue(harness)
    await maker.send([message(TASKS)])

    for _ in range(3):
        await queue.send([message(TASKS)])

    assert queue.requests == {"get_queue_url": 2, "get_queue_attributes": 3, "send_message_batch": 3}


async def test_a_worker_that_waits_asks_seldom(harness: AwsHarness) -> None:
    """Each request of an idle worker is paid for, day and night."""
    queue = await open_queue(harness)
    await queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=0, worker=WorkerId("w"))
    before = queue.requests["receive_message"]

    await queue.receive(TASKS, limit=1, lease_seconds=60, wait_seconds=2, worker=WorkerId("w"))

    assert queue.requests["receive_message"] - before <= 3
    assert POLL_SECONDS_MAX == 20


# ── receives whose caller is gone ────────────────────────────────────────────────────────────────────────────────────


async def test_what_comes_for_a_caller_that_is_gone_is_given_back(harness: AwsHarness) -> None:
    """Hidden for ten minutes it would be lost for as long: the request that SQS answers is under way still."""
    queue, other = await open_queue(harness), await open_queue(harness)
    gone = harness.begin_receive(queue, TASKS, lease_seconds=600)
    while queue.requests["receive_message"] == 0:
        await harness.let_time_pass(0.01)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)

    await other.send([message(TASKS)])
    async with asyncio.timeout(15):
        while queue.requests["delete_message_batch"] == 0:
            await harness.let_time_pass(0.01)

    found = await harness.receive_one(other, TASKS)
    assert (found.envelope.message_id, found.delivery_count) == ("m-1", 1)


async def test_a_fleet_that_stops_uses_up_no_deliveries(harness: AwsHarness) -> None:
    """Its last receives each take the message and give it back; ten would have made a dead letter of it."""
    queue = await open_queue(harness)
    await harness.look(queue, TASKS)
    receives = [harness.begin_receive(queue, TASKS, lease_seconds=600) for _ in range(12)]
    while queue.requests["receive_message"] < 13:
        await harness.let_time_pass(0.01)
    for each in receives:
        each.cancel()
    await asyncio.gather(*receives, return_exceptions=True)

    await queue.send([message(TASKS)])

    async with asyncio.timeout(15):
        while queue.requests["delete_message_batch"] < 12:
            await harness.let_time_pass(0.01)
    assert (await harness.receive_one(queue, TASKS)).delivery_count == 1


# ── queues that come and go ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_queue_that_is_deleted_is_created_again_at_the_next_call(harness: AwsHarness, sdk: Any) -> None:
    """Its messages are gone; the sweeper sends those again that can be told from histories."""
    queue = await open_queue(harness)
    await queue.send([message(TASKS)])
    sdk.delete_queue(QueueUrl=sdk.get_queue_url(QueueName=names_of(harness, TASKS).main)["QueueUrl"])

    (lost,) = await queue.send([message(TASKS)])
    (sent,) = await queue.send([message(TASKS, "m-2")])

    assert isinstance(lost.error, Unavailable)
    assert sent.error is None
    assert ids_of([await harness.receive_one(queue, TASKS)]) == ["m-2"]


async def test_a_queue_with_the_name_of_ours_and_other_attributes_is_refused(harness: AwsHarness, sdk: Any) -> None:
    sdk.create_queue(QueueName=names_of(harness, TASKS).main)
    queue = await open_queue(harness)

    with pytest.raises(Misuse, match="MessageRetentionPeriod=345600, Perdure needs 1209600"):
        await harness.look(queue, TASKS)


async def test_queues_made_at_one_time_by_many_are_the_same(harness: AwsHarness) -> None:
    """A fleet of workers starts on a new hub."""
    queues = [await open_queue(harness) for _ in range(6)]

    outcomes = await asyncio.gather(*(queue.send([message(TASKS, f"m-{who}")]) for who, queue in enumerate(queues)))

    assert [outcome.error for (outcome,) in outcomes] == [None] * 6
    assert len(await harness.receive_many(queues[0], TASKS, 6)) == 6


async def test_a_queue_of_no_class_is_refused(harness: AwsHarness) -> None:
    queue = await open_queue(harness)

    with pytest.raises(Misuse, match="turns or tasks"):
        await queue.send([message(QueueName("timers"))])


# ── messages that are not ours ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_of_somebody_else_is_left_alone_and_holds_up_nothing(
    harness: AwsHarness, sdk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not ours to delete; after twenty deliveries SQS puts it aside."""
    queue = await open_queue(harness)
    await harness.look(queue, TASKS)
    url = sdk.get_queue_url(QueueName=names_of(harness, TASKS).main)["QueueUrl"]
    sdk.send_message(QueueUrl=url, MessageBody="hello")

    await queue.send([message(TASKS)])

    assert ids_of([await harness.receive_one(queue, TASKS)]) == ["m-1"]
    assert "no message of Perdure, it begins with 'hello'" in caplog.text


async def test_what_sqs_put_aside_by_itself_is_listed_and_can_be_sent_again(harness: AwsHarness, sdk: Any) -> None:
    """The second line of defence: whoever should have given a reason died each time."""
    queue = await open_queue(harness)
    assert await queue.peek_dead_letters(TASKS, limit=10) == []
    url = sdk.get_queue_url(QueueName=names_of(harness, TASKS).dead)["QueueUrl"]
    sent = message(TASKS, body=b"\xff")
    sdk.send_message(QueueUrl=url, MessageBody=write_message(sent))
    sdk.send_message(QueueUrl=url, MessageBody="hello")

    letters = await queue.peek_dead_letters(TASKS, limit=10)

    assert [(letter.envelope.body, letter.delivery_count) for letter in letters] == [(b"\xff", 20), (b"hello", 20)]
    assert "SQS put it aside" in letters[0].reason
    assert "no message of Perdure" in letters[1].reason
    assert await queue.redrive(letters[:1]) == [True]
    assert (await harness.receive_one(queue, TASKS)).envelope == sent


async def test_more_letters_than_sqs_gives_at_once_are_listed_and_dropped(harness: AwsHarness) -> None:
    queue = await open_queue(harness)
    await queue.send([message(TASKS, f"m-{number:02}") for number in range(23)])
    await queue.dead_letter(await harness.receive_many(queue, TASKS, 23), "bad")

    letters = await queue.peek_dead_letters(TASKS, limit=100)

    assert sorted(ids_of(letters)) == [f"m-{number:02}" for number in range(23)]
    assert await queue.drop(letters) == [True] * 23
    assert await queue.peek_dead_letters(TASKS, limit=100) == []
