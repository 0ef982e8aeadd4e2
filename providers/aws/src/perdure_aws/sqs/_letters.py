"""Messages that were put aside. SQS cannot show a queue, so whoever looks holds them for a moment and gives them back.

Two who look at one time each see a part; whoever dies while looking hides what it holds for a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perdure.spi import Corrupt, DeadLetter, Envelope, Key, PerdureError, QueueName, TooNew
from perdure_aws.sqs._limits import BATCH_MAX, REDRIVE_AFTER
from perdure_aws.sqs._messages import read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure_aws.sqs._batches import Answer
    from perdure_aws.sqs._queues import Queues
    from perdure_aws.sqs._requests import Requests

__all__ = ["Letters"]

_HELD_SECONDS = 60
_FIRST_WAIT_SECONDS = 1
"""A receive that does not wait asks only some of SQS's servers, and may find nothing where there is something."""


class Letters:
    """The dead letters of a hub. Their receipts are SQS's ids of the messages: the same each time they are listed.

    Args:
        requests: Way to SQS.
        queues: Where the queues are.
    """

    def __init__(self, requests: Requests, queues: Queues) -> None:
        self._requests = requests
        self._queues = queues

    async def peek(self, queue: QueueName, limit: int) -> list[DeadLetter]:
        """List up to `limit`, oldest first of those that were found."""
        url = (await self._queues.find(queue)).dead
        found = await self._hold(url, lambda found: len(found) >= limit)
        await self._give_back(url, found.values())
        oldest_first = sorted(found.values(), key=_sent_at)
        return [_letter(queue, message) for message in oldest_first[:limit]]

    async def redrive(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Send them to their queues, then delete them. Crash between: they are there twice, which Q1 allows."""
        return await self._take_out(letters, is_sent=True)

    async def drop(self, letters: Sequence[DeadLetter]) -> list[bool]:
        """Delete them."""
        return await self._take_out(letters, is_sent=False)

    async def _take_out(self, letters: Sequence[DeadLetter], *, is_sent: bool) -> list[bool]:
        done: dict[QueueName, set[str]] = {}
        for queue in {letter.envelope.queue for letter in letters}:
            of_queue = [letter for letter in letters if letter.envelope.queue == queue]
            done[queue] = await self._take_out_of(queue, of_queue, is_sent=is_sent)
        return [letter.receipt in done[letter.envelope.queue] for letter in letters]

    async def _take_out_of(self, queue: QueueName, letters: Iterable[DeadLetter], *, is_sent: bool) -> set[str]:
        """Take letters of one queue out of the dead; tell the receipts of those that were there."""
        wanted = {letter.receipt: letter.envelope for letter in letters}
        urls = await self._queues.find(queue)
        found = await self._hold(urls.dead, lambda found: wanted.keys() <= found.keys())
        await self._give_back(urls.dead, (found[receipt] for receipt in found.keys() - wanted.keys()))
        there = [receipt for receipt in wanted if receipt in found]
        answers: list[Answer] = [None] * len(there)
        if is_sent:
            entries = [{"MessageBody": write_message(wanted[receipt]), "DelaySeconds": 0} for receipt in there]
            answers = await self._requests.ask_each("send_message_batch", urls.main, entries)
        sent = [receipt for receipt, error in zip(there, answers, strict=True) if error is None]
        deletions = [{"ReceiptHandle": found[receipt]["ReceiptHandle"]} for receipt in sent]
        answers += await self._requests.ask_each("delete_message_batch", urls.dead, deletions)
        # What is not taken out becomes visible again by itself.
        _raise_first(answers)
        return set(sent)

    async def _hold(self, url: str, is_enough: Callable[[dict[str, Any]], bool]) -> dict[str, dict[str, Any]]:
        """Receive letters until there are enough, or no more."""
        found: dict[str, dict[str, Any]] = {}
        wait_seconds = _FIRST_WAIT_SECONDS
        while not is_enough(found):
            messages = await self._requests.poll(
                url,
                MaxNumberOfMessages=BATCH_MAX,
                VisibilityTimeout=_HELD_SECONDS,
                WaitTimeSeconds=wait_seconds,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            wait_seconds = 0
            new = {message["MessageId"]: message for message in messages if message["MessageId"] not in found}
            # A letter that comes again was held for a minute: the rest is not found any faster.
            if not new:
                break
            found |= new
        return found

    async def _give_back(self, url: str, messages: Iterable[dict[str, Any]]) -> None:
        entries = [{"ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0} for message in messages]
        _raise_first(await self._requests.ask_each("change_message_visibility_batch", url, entries))


def _sent_at(message: dict[str, Any]) -> int:
    return int(message["Attributes"]["SentTimestamp"])


def _letter(queue: QueueName, message: dict[str, Any]) -> DeadLetter:
    text, receipt = message["Body"], message["MessageId"]
    try:
        envelope, header = read_message(text, queue)
    except (Corrupt, TooNew) as problem:
        return DeadLetter(Envelope(queue, receipt, Key(""), text.encode()), str(problem), REDRIVE_AFTER, receipt)
    if not header.reason:
        reason = f"SQS put it aside: it was received {REDRIVE_AFTER} times and never completed."
        return DeadLetter(envelope, reason, REDRIVE_AFTER, receipt)
    return DeadLetter(envelope, header.reason, header.delivery_count, receipt)


def _raise_first(answers: Iterable[PerdureError | None]) -> None:
    for error in answers:
        if error is not None:
            raise error
