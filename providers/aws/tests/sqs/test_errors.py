"""What SQS refuses, and what it leaves unanswered, as the kind of error that says what to do next."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from _aws_harnesses import location_of
from _speaking import TASKS, Refusal, SpeakingServer, Vanish
from botocore.exceptions import ClientError

from perdure.spi import (
    Delivery,
    Envelope,
    Environment,
    Key,
    LeaseLost,
    Misuse,
    PerdureError,
    SystemClock,
    SystemEntropy,
    Unavailable,
    Unknown,
    WorkerId,
)
from perdure_aws import SqsQueue
from perdure_aws.sqs._errors import _CODES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

MESSAGE = Envelope(TASKS, "m-1", Key("order"), b"wake")
HELD = Delivery(MESSAGE, "receipt", 1, 0.0)


@pytest.fixture(scope="module")
def only_server(credentials: None) -> Iterator[SpeakingServer]:
    """Run one server, and keep a client of it open: the SDK takes long to make one."""
    del credentials
    with SpeakingServer() as speaking:
        kept = make_queue(speaking.url)
        asyncio.run(kept.open())
        yield speaking
        asyncio.run(kept.aclose())


@pytest.fixture
def server(only_server: SpeakingServer) -> SpeakingServer:
    only_server.forget()
    return only_server


@pytest_asyncio.fixture
async def queue(server: SpeakingServer) -> AsyncIterator[SqsQueue]:
    opened = make_queue(server.url)
    await opened.open()
    yield opened
    await opened.aclose()


def make_queue(endpoint: str, **options: str) -> SqsQueue:
    location = location_of(endpoint, "errors", scheme="sqs", **options)
    return SqsQueue(location, Environment(SystemClock(), SystemEntropy()))


async def receive(queue: SqsQueue) -> list[Delivery]:
    return await queue.receive(TASKS, limit=1, lease_seconds=30, wait_seconds=0, worker=WorkerId("w"))


async def send_error(queue: SqsQueue) -> PerdureError | None:
    (outcome,) = await queue.send([MESSAGE])
    return outcome.error


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", [code for code, (kind, _) in _CODES.items() if kind is not LeaseLost])
async def test_every_code_of_the_table_says_what_to_do(server: SpeakingServer, queue: SqsQueue, code: str) -> None:
    """For a receive and for a send; the message names the right, the queue, what SQS said, and the mend."""
    kind, mend = _CODES[code]
    server.answers["ReceiveMessage"] = server.answers["SendMessageBatch"] = Refusal(code)

    with pytest.raises(kind) as raised:
        await receive(queue)
    error = await send_error(queue)

    for text in ("sqs:ReceiveMessage", "tasks-mail", "because", mend):
        assert text in str(raised.value)
    assert isinstance(error, kind)
    assert "sqs:SendMessage " in str(error)


async def test_codes_of_the_older_protocol_mean_the_same(server: SpeakingServer, queue: SqsQueue) -> None:
    """The SDK reports those where SQS sends both."""
    older = Refusal("QueueDoesNotExist", query_code="AWS.SimpleQueueService.NonExistentQueue")
    server.answers["ReceiveMessage"] = older

    with pytest.raises(Unavailable, match="created again"):
        await receive(queue)


async def test_what_the_table_lacks_is_left_alone(server: SpeakingServer, queue: SqsQueue) -> None:
    """A guess would send the caller the wrong way."""
    server.answers["ReceiveMessage"] = Refusal("SomethingNew")

    with pytest.raises(ClientError, match="SomethingNew"):
        await receive(queue)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failure_of_the_service_may_have_sent_the_message(
    server: SpeakingServer, queue: SqsQueue, status: int
) -> None:
    """Whoever reads `Unavailable` believes that nothing happened."""
    server.answers["ReceiveMessage"] = server.answers["SendMessageBatch"] = Refusal("InternalFailure", status)

    with pytest.raises(Unavailable):
        await receive(queue)
    assert isinstance(await send_error(queue), Unknown)


# ── rights ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("operation", "right"),
    [
        ("GetQueueUrl", "GetQueueUrl"),
        ("GetQueueAttributes", "GetQueueAttributes"),
        ("CreateQueue", "CreateQueue"),
        ("ReceiveMessage", "ReceiveMessage"),
        ("SendMessageBatch", "SendMessage"),
        ("DeleteMessageBatch", "DeleteMessage"),
        ("ChangeMessageVisibilityBatch", "ChangeMessageVisibility"),
    ],
)
async def test_a_missing_right_is_named(server: SpeakingServer, queue: SqsQueue, operation: str, right: str) -> None:
    """As it is written in a policy; nothing is lost meanwhile, for no message is deleted."""
    server.answers[operation] = Refusal("AccessDeniedException", 403)
    if operation == "CreateQueue":
        server.answers["GetQueueUrl"] = Refusal("QueueDoesNotExist")

    with pytest.raises(Misuse, match=f"sqs:{right} on .*Allow it in the policy"):
        await _ask_everything(queue)


async def _ask_everything(queue: SqsQueue) -> None:
    await receive(queue)
    error = await send_error(queue)
    if error is not None:
        raise error
    await queue.renew([HELD], 30)
    await queue.complete([HELD])


# ── one message among others ─────────────────────────────────────────────────────────────────────────────────────────


async def test_of_a_batch_each_message_has_its_own_outcome(server: SpeakingServer, queue: SqsQueue) -> None:
    """Sent; refused; nobody knows; not mentioned."""
    server.answers["SendMessageBatch"] = {
        "Successful": [{"Id": "0"}],
        "Failed": [
            {"Id": "1", "Code": "InvalidMessageContents", "Message": "no", "SenderFault": True},
            {"Id": "2", "Code": "InternalError", "Message": "oh", "SenderFault": False},
        ],
    }

    outcomes = await queue.send([MESSAGE] * 4)

    assert [type(outcome.error) for outcome in outcomes] == [type(None), Misuse, Unknown, Unknown]


@pytest.mark.parametrize(
    "code",
    ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue", "InvalidParameterValueException"],
)
async def test_a_lost_lease_is_an_answer(server: SpeakingServer, queue: SqsQueue, code: str) -> None:
    failed = {"Successful": [], "Failed": [{"Id": "0", "Code": code, "SenderFault": True}]}
    server.answers["DeleteMessageBatch"] = server.answers["ChangeMessageVisibilityBatch"] = failed

    assert await queue.complete([HELD]) == [False]
    assert await queue.renew([HELD], 30) == [False]
    await queue.abandon([HELD])


async def test_a_deletion_that_failed_is_no_lost_lease(server: SpeakingServer, queue: SqsQueue) -> None:
    """The worker must try again: a message that stays is a turn that is repeated."""
    failed = {"Id": "0", "Code": "InternalError", "Message": "oh", "SenderFault": False}
    server.once["DeleteMessageBatch"] = {"Successful": [], "Failed": [failed]}

    with pytest.raises(Unavailable):
        await queue.complete([HELD])
    assert await queue.complete([HELD]) == [True]


async def test_a_message_that_did_not_get_to_the_dead_ones_is_not_deleted(
    server: SpeakingServer, queue: SqsQueue
) -> None:
    """Moving is two requests, and the power may go between them."""
    server.answers["SendMessageBatch"] = Refusal("ServiceUnavailable", 503)

    with pytest.raises(Unavailable):
        await queue.dead_letter([HELD], "bad")

    assert server.asked["DeleteMessageBatch"] == 0


async def test_a_letter_that_did_not_get_back_to_its_queue_is_not_deleted(
    server: SpeakingServer, queue: SqsQueue
) -> None:
    (letter,) = await queue.peek_dead_letters(TASKS, limit=1)
    server.answers["SendMessageBatch"] = Refusal("ServiceUnavailable", 503)

    with pytest.raises(Unavailable):
        await queue.redrive([letter])

    assert server.asked["DeleteMessageBatch"] == 0


async def test_what_cannot_be_put_aside_holds_up_nothing(server: SpeakingServer, queue: SqsQueue) -> None:
    """The others of its batch are leased to this worker now."""
    received = server._success("ReceiveMessage", {})["Messages"][0]
    worn = {**received, "ReceiptHandle": "worn", "Attributes": {"ApproximateReceiveCount": "11"}}
    server.answers["ReceiveMessage"] = {"Messages": [worn, received]}
    server.answers["SendMessageBatch"] = Refusal("ServiceUnavailable", 503)

    found = await queue.receive(TASKS, limit=10, lease_seconds=30, wait_seconds=0, worker=WorkerId("w"))

    assert [delivery.receipt for delivery in found] == ["receipt"]
    assert server.asked["DeleteMessageBatch"] == 0


# ── no answer ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_that_is_lost_leaves_open_whether_it_was_sent(server: SpeakingServer, queue: SqsQueue) -> None:
    server.answers["SendMessageBatch"] = server.answers["ReceiveMessage"] = Vanish()

    assert isinstance(await send_error(queue), Unknown)
    with pytest.raises(Unavailable, match="Check endpoint and network"):
        await receive(queue)
    assert server.asked["SendMessageBatch"] == 1  # the SDK does not send again by itself


async def test_an_endpoint_that_hangs_is_given_up() -> None:
    """It takes connections, and that is all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = make_queue(f"http://127.0.0.1:{silent.getsockname()[1]}", read_timeout_seconds="0.3")
        await queue.open()

        with pytest.raises(Unavailable, match="sqs:GetQueueUrl"):
            await receive(queue)
        await queue.aclose()


async def test_an_endpoint_that_is_not_there_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    queue = make_queue(f"http://127.0.0.1:{port}")
    await queue.open()

    with pytest.raises(Unavailable, match="Check endpoint, region and network"):
        await receive(queue)
    await queue.aclose()


async def test_credentials_that_expire_in_the_middle_lose_nothing(server: SpeakingServer, queue: SqsQueue) -> None:
    """A worker goes on as soon as they are renewed."""
    await receive(queue)
    server.once["ReceiveMessage"] = server.once["SendMessageBatch"] = Refusal("ExpiredToken", 403)

    with pytest.raises(Unavailable, match="renew them"):
        await receive(queue)
    assert isinstance(await send_error(queue), Unavailable)

    assert [found.envelope for found in await receive(queue)] == [MESSAGE]
    assert await send_error(queue) is None


async def test_without_credentials_it_is_said_how_to_have_some(
    server: SpeakingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    queue = make_queue(server.url, connect_timeout_seconds="4.5")  # other settings: another client of the SDK
    await queue.open()

    with pytest.raises(Misuse, match="environment, profile or role"):
        await receive(queue)
    await queue.aclose()


async def test_a_profile_that_is_not_there_is_told_at_once(server: SpeakingServer) -> None:
    queue = make_queue(server.url, profile="nobody")

    with pytest.raises(Misuse, match="nobody"):
        await queue.open()
    await queue.aclose()


# ── finding queues ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_queue_is_looked_for_once_however_many_ask(server: SpeakingServer, queue: SqsQueue) -> None:
    await asyncio.gather(*(receive(queue) for _ in range(5)))

    assert server.asked["GetQueueUrl"] == 2  # the queue, and its dead letters


async def test_a_queue_that_was_not_found_for_a_moment_is_looked_for_again(
    server: SpeakingServer, queue: SqsQueue
) -> None:
    server.once["GetQueueUrl"] = Refusal("ServiceUnavailable", 503)

    with pytest.raises(Unavailable):
        await receive(queue)
    assert len(await receive(queue)) == 1


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("MaximumMessageSize", "262144"),
        ("MessageRetentionPeriod", "345600"),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:000000000000:dead","maxReceiveCount":3}'),
        ("RedrivePolicy", ""),
    ],
)
async def test_a_queue_that_somebody_made_otherwise_is_refused(
    server: SpeakingServer, queue: SqsQueue, attribute: str, value: str
) -> None:
    """It would lose messages, or put them aside too soon; the error says what to set."""
    good: dict[str, Any] = server._success("GetQueueAttributes", {})
    server.answers["GetQueueAttributes"] = {"Attributes": {**good["Attributes"], attribute: value}}

    with pytest.raises(Misuse, match=f"{attribute}=.*set it, or delete"):
        await receive(queue)
