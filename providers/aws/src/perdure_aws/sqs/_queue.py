"""SqsQueue: every queue of a hub is a standard queue of SQS, with a second one for what is put aside.

Turns too, though SQS has queues that keep the messages of one instance in order and with one holder. Those have no
delay per message: each timer and each retry would go through a second queue, at twice the requests. Safety needs no
exclusivity, for a history has one writer per version whoever holds the messages.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from perdure.spi import (
    Corrupt,
    DeadLetter,
    DeadLetters,
    Delivery,
    Envelope,
    LeaseLost,
    Misuse,
    PerdureError,
    PushedMessages,
    QueueCapabilities,
    QueueName,
    SendOutcome,
    TooNew,
    WorkerId,
    WorkQueue,
)
from perdure_aws._settings import read_place, read_settings
from perdure_aws.sqs._letters import Letters
from perdure_aws.sqs._limits import (
    CAPABILITIES,
    POLL_SECONDS_MAX,
    check_delay,
    check_lease,
    check_messages,
    delay_of,
    limits_of,
)
from perdure_aws.sqs._messages import read_message, write_message
from perdure_aws.sqs._pushed import read_event
from perdure_aws.sqs._queues import Queues
from perdure_aws.sqs._requests import Requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure.spi import Environment, Location
    from perdure_aws.sqs._batches import Answer, Entry
    from perdure_aws.sqs._names import QueueNames

__all__ = ["SqsQueue"]

logger = logging.getLogger("perdure.aws")

_GIVEN_BACK_MAX = 10_000
_ASIDE_SECONDS = 60
"""How long a message stays hidden while it is put aside."""


class SqsQueue(WorkQueue, DeadLetters, PushedMessages):
    """The queues of a hub in SQS. Each is looked for at its first use, and created where that is allowed.

    Args:
        location: `sqs://bucket/prefix?region=…&endpoint=…`: place and options as of the store that it belongs to.
        environment: The hub's clock and entropy.
    """

    capabilities: Mapping[str, QueueCapabilities] = CAPABILITIES

    def __init__(self, location: Location, environment: Environment) -> None:
        self._clock = environment.clock
        self._requests = Requests(read_settings(location))
        self.requests = self._requests.counts
        self._place = read_place(location)
        self._queues = Queues(self._requests, self._place)
        self._letters = Letters(self._requests, self._queues)
        # Their receipts still work, on messages that are somebody else's by now.
        self._given_back: OrderedDict[str, None] = OrderedDict()
        self._returns: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._requests.open()

    async def aclose(self) -> None:
        if self._returns:
            await asyncio.wait(self._returns)
        await self._requests.aclose()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        now = self._clock.now()
        check_messages(messages, now)
        entries = [{"MessageBody": write_message(each), "DelaySeconds": delay_of(each, now)} for each in messages]
        answers = await self._ask_each("send_message_batch", [each.queue for each in messages], entries)
        return [SendOutcome(each.message_id, error) for each, error in zip(messages, answers, strict=True)]

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        del worker
        check_lease(queue, lease_seconds)
        if limit < 1:
            raise Misuse(f"Receive at least 1 message from {queue!r}, not {limit}.")
        deadline = self._clock.monotonic() + wait_seconds
        # The lease counts from before the request: one that waits must not use up what it is to bring.
        poll_seconds_max = min(POLL_SECONDS_MAX, max(1, int(lease_seconds / 3)))
        while True:
            patience = deadline - self._clock.monotonic()
            poll_seconds = min(poll_seconds_max, max(0, int(patience)))
            received = await self._receive_or_return(queue, limit, lease_seconds, poll_seconds)
            patience = deadline - self._clock.monotonic()
            if received or patience <= 0:
                return received
            if patience < 1:  # SQS waits for whole seconds only: wait for the rest, and look once more
                await self._clock.sleep(patience)

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        return await self._change("delete_message_batch", deliveries, {})

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        for delivery in deliveries:
            check_delay(delivery.envelope.queue, delay_seconds)
        await self._hide(deliveries, delay_seconds)
        for delivery in deliveries:
            self._given_back[delivery.receipt] = None
        while len(self._given_back) > _GIVEN_BACK_MAX:
            self._given_back.popitem(last=False)

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        for delivery in deliveries:
            check_lease(delivery.envelope.queue, lease_seconds)
        return await self._hide(deliveries, lease_seconds)

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        # SQS says nothing of a lost lease, but it does of a message that is not there any more.
        held = await self._hide(deliveries, _ASIDE_SECONDS)
        still_there = [delivery for delivery, is_held in zip(deliveries, held, strict=True) if is_held]
        await self._put_aside([(delivery, reason, delivery.delivery_count) for delivery in still_there])

    async def peek_dead_letters(self, queue: QueueName, *, limit: int) -> list[DeadLetter]:
        return await self._letters.peek(queue, limit)

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return await self._letters.redrive(letters)

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        return await self._letters.drop(letters)

    def pushed(self, event: Mapping[str, Any], queues: Sequence[QueueName]) -> dict[str, Delivery]:
        return read_event(event, self._place, queues, self._clock.monotonic())

    async def _receive_or_return(
        self, queue: QueueName, limit: int, lease_seconds: float, poll_seconds: int
    ) -> list[Delivery]:
        """Receive once; what comes for a caller that is gone is given back, rather than hidden for a whole lease."""
        receiving = asyncio.ensure_future(self._receive_once(queue, limit, lease_seconds, poll_seconds))
        try:
            return await asyncio.shield(receiving)
        except asyncio.CancelledError:
            receiving.add_done_callback(self._return)
            raise

    def _return(self, received: asyncio.Task[list[Delivery]]) -> None:
        if received.cancelled() or received.exception() is not None or not received.result():
            return
        returning = asyncio.ensure_future(self._send_again(received.result()))
        self._returns.add(returning)
        returning.add_done_callback(self._returns.discard)

    async def _send_again(self, deliveries: list[Delivery]) -> None:
        """Give messages back as new ones, with the count that they had before.

        Given back as they are, the receives of a fleet that stops would use up all deliveries of one message.
        Crash between: it is there twice (Q1).
        """
        entries = [
            {"MessageBody": write_message(each.envelope, delivery_count=each.delivery_count - 1), "DelaySeconds": 0}
            for each in deliveries
        ]
        try:
            answers = await self._ask_each("send_message_batch", [each.envelope.queue for each in deliveries], entries)
            await self.complete([each for each, error in zip(deliveries, answers, strict=True) if error is None])
        except PerdureError as problem:
            logger.warning("%d messages come again when their leases end: %s", len(deliveries), problem)

    async def _receive_once(
        self, queue: QueueName, limit: int, lease_seconds: float, poll_seconds: int
    ) -> list[Delivery]:
        limits = limits_of(queue)
        urls = await self._queues.find(queue)
        lease_until = self._clock.monotonic() + lease_seconds
        messages = await self._requests.poll(
            urls.main,
            MaxNumberOfMessages=min(limit, limits.receive_batch_max),
            VisibilityTimeout=math.ceil(lease_seconds),
            WaitTimeSeconds=poll_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        received = [found for each in messages if (found := _read(queue, each, lease_until)) is not None]
        too_often = [each for each in received if each.delivery_count > limits.deliveries_max]
        try:
            await self._put_aside([(each, _too_often(limits), limits.deliveries_max) for each in too_often])
        except PerdureError as problem:
            # The others of the batch are held now, and must get to whoever asked.
            logger.warning("%s: %d messages are put aside when they come again: %s", queue, len(too_often), problem)
        return [each for each in received if each.delivery_count <= limits.deliveries_max]

    async def _put_aside(self, aside: Sequence[tuple[Delivery, str, int]]) -> None:
        """Move messages, each with its reason and count, and delete only what has arrived.

        Crash between: it is there twice, and once it is received it is put aside again.
        """
        if not aside:
            return
        deliveries = [delivery for delivery, _, _ in aside]
        entries = [
            {"MessageBody": write_message(each.envelope, reason=reason or "none given", delivery_count=count)}
            for each, reason, count in aside
        ]
        answers = await self._ask_each(
            "send_message_batch", [each.envelope.queue for each in deliveries], entries, is_dead=True
        )
        moved = [delivery for delivery, error in zip(deliveries, answers, strict=True) if error is None]
        await self.complete(moved)
        for error in answers:
            if error is not None:
                raise error

    async def _hide(self, deliveries: Sequence[Delivery], seconds: float) -> list[bool]:
        extra = {"VisibilityTimeout": math.ceil(seconds)}
        return await self._change("change_message_visibility_batch", deliveries, extra)

    async def _change(self, operation: str, deliveries: Sequence[Delivery], extra: Entry) -> list[bool]:
        """Change messages that are held; one answer for each, in order: False, it is not held any more."""
        held = [delivery for delivery in deliveries if delivery.receipt not in self._given_back]
        entries: list[Entry] = [{"ReceiptHandle": delivery.receipt, **extra} for delivery in held]
        answers = await self._ask_each(operation, [delivery.envelope.queue for delivery in held], entries)
        for error in answers:
            if error is not None and not isinstance(error, LeaseLost):
                raise error
        changed = {delivery.receipt for delivery, error in zip(held, answers, strict=True) if error is None}
        return [delivery.receipt in changed for delivery in deliveries]

    async def _ask_each(
        self, operation: str, queues: Sequence[QueueName], entries: Sequence[Entry], *, is_dead: bool = False
    ) -> list[Answer]:
        """Make batch requests, one entry to each of the queues; answers in the same order."""
        places: dict[QueueName, list[int]] = {}
        for place, queue in enumerate(queues):
            places.setdefault(queue, []).append(place)
        found = await asyncio.gather(*map(self._find, places))
        asked = [
            self._ask_one(operation, urls, [entries[place] for place in of_queue], is_dead=is_dead)
            for urls, of_queue in zip(found, places.values(), strict=True)
        ]
        answers: list[Answer] = [None] * len(entries)
        for of_queue, answered in zip(places.values(), await asyncio.gather(*asked), strict=True):
            for place, answer in zip(of_queue, answered, strict=True):
                answers[place] = answer
        return answers

    async def _find(self, queue: QueueName) -> QueueNames | PerdureError:
        try:
            return await self._queues.find(queue)
        except PerdureError as error:
            return error

    async def _ask_one(
        self, operation: str, urls: QueueNames | PerdureError, entries: Sequence[Entry], *, is_dead: bool
    ) -> list[Answer]:
        if isinstance(urls, PerdureError):
            return [urls] * len(entries)
        return await self._requests.ask_each(operation, urls.dead if is_dead else urls.main, entries)


def _read(queue: QueueName, message: dict[str, Any], lease_until: float) -> Delivery | None:
    """Read a message that was received; one that cannot be is left to its lease, and at last to the redrive policy."""
    try:
        envelope, header = read_message(message["Body"], queue)
    except (Corrupt, TooNew) as problem:
        logger.error("Left alone: message %s: %s", message["MessageId"], problem)  # noqa: TRY400 - the text says all
        return None
    delivery_count = header.delivery_count + int(message["Attributes"]["ApproximateReceiveCount"])
    return Delivery(envelope, message["ReceiptHandle"], delivery_count, lease_until)


def _too_often(limits: QueueCapabilities) -> str:
    return f"It was received {limits.deliveries_max} times and never completed."
