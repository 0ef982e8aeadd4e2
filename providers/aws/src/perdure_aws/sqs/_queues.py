"""Where the queues of a hub are: found by their names, and created where they are not there yet."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from perdure.spi import Misuse, QueueName
from perdure_aws.sqs._errors import QueueGone
from perdure_aws.sqs._limits import REDRIVE_AFTER, REQUEST_BYTES_MAX, RETENTION_SECONDS
from perdure_aws.sqs._names import QueueNames, queue_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure_aws._settings import Place
    from perdure_aws.sqs._requests import Requests

__all__ = ["Queues", "attributes_of_dead", "attributes_of_main", "differing"]


def attributes_of_dead() -> dict[str, str]:
    """Say what a queue of messages that were put aside is created with."""
    return {"MessageRetentionPeriod": str(RETENTION_SECONDS), "MaximumMessageSize": str(REQUEST_BYTES_MAX)}


def attributes_of_main(dead_arn: str) -> dict[str, str]:
    """Say what a queue is created with.

    Delay, lease and wait are not among it: each request says its own.
    """
    policy = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": REDRIVE_AFTER}
    return {**attributes_of_dead(), "RedrivePolicy": json.dumps(policy, separators=(",", ":"))}


class Queues:
    """The queues of one hub: names, and URLs, which only SQS knows.

    Args:
        requests: Way to SQS.
        place: Which hub.
    """

    def __init__(self, requests: Requests, place: Place) -> None:
        self._requests = requests
        self._place = place
        self._found: dict[QueueName, asyncio.Task[QueueNames]] = {}

    async def find(self, queue: QueueName) -> QueueNames:
        """Find the URLs of a queue; those that use it first find it, or create it, together.

        Raises:
            Misuse: It is there with other attributes; or it is not, and must not be created.
            Unavailable: No answer.
        """
        found = self._found.get(queue)
        if found is not None and found.done() and self._is_gone(found.result()):
            found = None
        if found is None:
            found = self._found[queue] = asyncio.ensure_future(self._open(queue))
            found.add_done_callback(partial(self._forget_failed, queue))
        return await asyncio.shield(found)

    def _is_gone(self, urls: QueueNames) -> bool:
        gone = self._requests.gone & {urls.main, urls.dead}
        self._requests.gone -= gone
        return bool(gone)

    def _forget_failed(self, queue: QueueName, task: asyncio.Task[QueueNames]) -> None:
        if task.cancelled() or task.exception() is not None:
            del self._found[queue]

    async def _open(self, queue: QueueName) -> QueueNames:
        names = queue_names(self._place, queue)
        # Crash between the two: the dead-letter queue is there, and the next one creates what needs it.
        dead = await self._find_or_create(names.dead, attributes_of_dead())
        dead_arn = (await self._attributes(names.dead, dead))["QueueArn"]
        main = await self._find_or_create(names.main, attributes_of_main(dead_arn))
        return QueueNames(main=main, dead=dead)

    async def _find_or_create(self, name: str, attributes: dict[str, str]) -> str:
        try:
            answer = await self._requests.ask("get_queue_url", name, QueueName=name)
        except QueueGone:
            self._requests.gone.discard(name)
            # Somebody else may do the same now: with the same attributes that is no error.
            answer = await self._requests.ask("create_queue", name, QueueName=name, Attributes=attributes)
            return str(answer["QueueUrl"])
        url = str(answer["QueueUrl"])
        _check_attributes(name, await self._attributes(name, url), attributes)
        return url

    async def _attributes(self, name: str, url: str) -> dict[str, str]:
        answer = await self._requests.ask("get_queue_attributes", name, QueueUrl=url, AttributeNames=["All"])
        attributes: dict[str, str] = answer["Attributes"]
        return attributes


def _check_attributes(name: str, there: Mapping[str, str], needed: Mapping[str, str]) -> None:
    for attribute, value in differing(there, needed).items():
        raise Misuse(
            f"The queue {name} has {attribute}={there.get(attribute) or 'none'}, Perdure needs {value}: let "
            "`perdure provision` set it, or delete the queue while it is empty and let Perdure create it."
        )


def differing(there: Mapping[str, str], needed: Mapping[str, str]) -> dict[str, str]:
    """Tell which of the needed attributes a queue has not, or with another value."""
    return {name: value for name, value in needed.items() if _parsed(there.get(name, "")) != _parsed(value)}


def _parsed(value: str) -> object:
    """Read a value of an attribute: in a policy order, spaces, and numbers written as texts do not matter."""
    if not value.startswith("{"):
        return value
    policy: dict[str, object] = json.loads(value)
    return {name: str(part) for name, part in policy.items()}
