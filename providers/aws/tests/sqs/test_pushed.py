"""AWS Lambda calls a function with messages of a queue: which they are, and a process that runs to its end so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from _aws_harnesses import BUCKET, REGION, location_of
from perdure_conformance.material import TASKS, TURNS, message

import perdure
from perdure.config import load_settings
from perdure.hosting import lambda_handler
from perdure.spi import Misuse, QueueName
from perdure_aws._settings import Place
from perdure_aws.sqs._messages import write_message
from perdure_aws.sqs._names import queue_names
from perdure_aws.sqs._pushed import UNREADABLE, read_event

if TYPE_CHECKING:
    from _aws_harnesses import AwsHarness

PLACE = Place(BUCKET, "pushed")
ROUNDS_MAX = 20


def record_of(place: Place, queue: QueueName, received: dict[str, Any]) -> dict[str, Any]:
    """Turn a message that was received into what Lambda hands over."""
    return {
        "messageId": received["MessageId"],
        "receiptHandle": received["ReceiptHandle"],
        "body": received["Body"],
        "attributes": received["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{queue_names(place, queue).main}",
        "awsRegion": REGION,
    }


def made_up(queue: QueueName, body: str, *, count: int = 3) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(count), "SentTimestamp": "1700000000000"}
    received = {"MessageId": "m", "ReceiptHandle": "r", "Body": body, "Attributes": attributes}
    return record_of(PLACE, queue, received)


def test_a_message_is_read_as_it_was_sent() -> None:
    sent = message(TASKS, "one")
    event = {"Records": [made_up(TASKS, write_message(sent, delivery_count=2))]}
    (found,) = read_event(event, PLACE, [TURNS, TASKS], 100.0).values()
    assert found.envelope == sent
    assert (found.receipt, found.delivery_count, found.lease_until) == ("r", 5, 130.0)


@pytest.mark.parametrize("body", ["no message of ours", "perdure/2 []\n"])
def test_what_cannot_be_read_is_in_no_queue_and_so_comes_again(body: str) -> None:
    found = read_event({"Records": [made_up(TASKS, body)]}, PLACE, [TASKS], 0.0)
    assert {name: delivery.envelope.queue for name, delivery in found.items()} == {"m": UNREADABLE}


def test_a_message_of_another_queue_is_refused_with_the_queue_that_it_is_of() -> None:
    with pytest.raises(Misuse, match="does not serve"):
        read_event({"Records": [made_up(TURNS, "")]}, PLACE, [TASKS], 0.0)


@pytest.mark.parametrize("event", [{}, {"Records": [{"s3": {}}]}, {"Records": None}, {"detail-type": "x"}])
def test_another_event_is_refused_with_the_mend(event: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="event source"):
        read_event(event, PLACE, [TASKS], 0.0)


@perdure.activity
async def double(value: int) -> int:
    return 2 * value


@perdure.orchestration
async def doubling(value: int) -> int:
    return await double(await double(value))


def batch_of(sdk: Any, place: Place, queue: QueueName) -> dict[str, Any]:
    """Receive as Lambda's poller does, and make an event of it."""
    received = sdk.receive_message(
        QueueUrl=url_of(sdk, place, queue),
        MaxNumberOfMessages=10,
        VisibilityTimeout=60,
        WaitTimeSeconds=1,
        MessageSystemAttributeNames=["All"],
    )
    return {"Records": [record_of(place, queue, each) for each in received.get("Messages", [])]}


def url_of(sdk: Any, place: Place, queue: QueueName) -> str:
    return str(sdk.get_queue_url(QueueName=queue_names(place, queue).main)["QueueUrl"])


def delete_what_is_done(sdk: Any, place: Place, queue: QueueName, event: dict[str, Any], answer: dict[str, Any]) -> int:
    """Delete what the function does not want again, as Lambda does; tell how much."""
    failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
    done = [each for each in event["Records"] if each["messageId"] not in failed]
    for each in done:
        sdk.delete_message(QueueUrl=url_of(sdk, place, queue), ReceiptHandle=each["receiptHandle"])
    return len(done)


@pytest.fixture
def hub_url(harness: AwsHarness) -> str:
    return location_of(harness.endpoint, harness.prefix).url


async def test_a_process_runs_to_its_end_in_invocations(harness: AwsHarness, hub_url: str, sdk: Any) -> None:
    place = Place(BUCKET, harness.prefix)
    handler = lambda_handler(doubling, double, settings=load_settings(hub=hub_url))
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)

    async def invoke(name: str) -> int:
        queue = QueueName(name)
        event = await asyncio.to_thread(batch_of, sdk, place, queue)
        if not event["Records"]:
            return 0
        answer = await asyncio.to_thread(handler, event, context)
        assert answer == {"batchItemFailures": []}
        return await asyncio.to_thread(delete_what_is_done, sdk, place, queue, event, answer)

    async with perdure.connect(hub_url) as hub:
        run = await hub.start(doubling(5))
        for _ in range(ROUNDS_MAX):
            if not sum([await invoke(queue) for queue in ("turns:default", "tasks:default")]):
                break
        assert await run.result(timeout_seconds=10) == 20


async def test_of_a_batch_only_what_cannot_be_read_comes_again(harness: AwsHarness, hub_url: str, sdk: Any) -> None:
    place, queue = Place(BUCKET, harness.prefix), QueueName("turns:default")
    handler = lambda_handler(doubling, double, settings=load_settings(hub=hub_url))
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 6_000)
    async with perdure.connect(hub_url) as hub:
        await hub.start(doubling(5))
        event = await asyncio.to_thread(batch_of, sdk, place, queue)
        newer = {**event["Records"][0], "messageId": "newer", "receiptHandle": "newer", "body": "perdure/9 []\n"}
        event["Records"].append(newer)
        answer = await asyncio.to_thread(handler, event, context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "newer"}]}
