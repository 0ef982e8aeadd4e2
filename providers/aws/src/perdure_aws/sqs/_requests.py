"""Requests to SQS, as the rest of this package makes them: errors are ours, and batches answer for each message."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from perdure.spi import Misuse, PerdureError, Unknown
from perdure_aws._client import Client
from perdure_aws.sqs._batches import Answer, Batches, Entry
from perdure_aws.sqs._errors import QueueGone, entry_error, translated
from perdure_aws.sqs._limits import POLL_SECONDS_MAX

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from perdure_aws._settings import AwsSettings

__all__ = ["Requests"]

_POLLS_PER_THREAD = 4


class Requests:
    """A way to SQS, and how often it was gone.

    Args:
        settings: How to reach it.

    Attributes:
        counts: How many requests were made, by operation, such as `send_message_batch`.
        gone: URLs of queues that a request did not find any more; who remembers such a URL takes it out and looks anew.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self.gone: set[str] = set()
        self._client = Client("sqs", settings)
        # A receive that waits takes a thread and nothing else. With threads of their own, they hold up no sender.
        polling = replace(settings, threads=_POLLS_PER_THREAD * settings.threads)
        self._polls = Client("sqs", polling, wait_seconds_max=POLL_SECONDS_MAX)
        self.counts: Counter[str] = self._client.requests
        self._polls.requests = self.counts
        self._batches = Batches(self._send_batch)

    async def open(self) -> None:
        """Get ready.

        Raises:
            Misuse: Region, profile or another setting of the SDK cannot be used.
        """
        try:
            await self._client.open()
            await self._polls.open()
        except BotoCoreError as error:
            await self.aclose()
            raise Misuse(f"The SDK of AWS cannot be set up: {error}") from error

    async def aclose(self) -> None:
        """Let go, after what was asked has been answered; receives are not waited for."""
        await self._batches.aclose()
        await self._polls.aclose()
        await self._client.aclose()

    async def ask(self, operation: str, where: str, **arguments: Any) -> dict[str, Any]:
        """Make one request.

        Args:
            operation: Name of the SDK's method.
            where: The queue, for messages of errors.
            arguments: Of the method.

        Raises:
            PerdureError: By the table in `_errors`.
        """
        return await self._ask(self._client, operation, where, **arguments)

    async def poll(self, url: str, **arguments: Any) -> list[dict[str, Any]]:
        """Receive messages; raises as `ask`."""
        answer = await self._ask(self._polls, "receive_message", url, QueueUrl=url, **arguments)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    async def _ask(self, client: Client, operation: str, where: str, **arguments: Any) -> dict[str, Any]:
        try:
            with translated(operation, where):
                return await client.call(operation, **arguments)
        except QueueGone:
            self.gone.add(where)
            raise

    async def ask_each(self, operation: str, url: str, entries: Sequence[Entry]) -> list[Answer]:
        """Make batch requests, together with whoever else asks the same of this queue.

        Returns:
            One answer per entry, in order: the error, or None if it was done. A request that fails is the answer of
            all its entries, for others may have been done (Q8).
        """
        return await self._batches.ask(operation, url, entries)

    async def _send_batch(self, operation: str, url: str, entries: Sequence[Entry]) -> Sequence[Answer]:
        numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
        try:
            answer = await self.ask(operation, url, QueueUrl=url, Entries=numbered)
        except PerdureError as error:
            return [error] * len(entries)
        # An entry that is in neither list: nobody knows.
        answers: list[Answer] = [Unknown(f"{url}: SQS says nothing about a message of {operation}.")] * len(entries)
        for done in answer.get("Successful", []):
            answers[int(done["Id"])] = None
        for failed in answer.get("Failed", []):
            answers[int(failed["Id"])] = entry_error(operation, url, failed)
        return answers
