"""SqsAdministration: sets up and examines the queues of a hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perdure.spi import Administration, Finding, Measure, Misuse
from perdure_aws._settings import read_place, read_settings
from perdure_aws.sqs._errors import QueueGone
from perdure_aws.sqs._names import QueueNames, hub_part, queue_names
from perdure_aws.sqs._queues import attributes_of_dead, attributes_of_main, differing
from perdure_aws.sqs._requests import Requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from perdure.spi import Environment, Location, QueueName

__all__ = ["SqsAdministration"]

_CLIENT_ACTIONS = ("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage")
_WORKER_ACTIONS = (*_CLIENT_ACTIONS, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")

_NO_RECEIPT = "perdure-doctor"
"""A receipt that no message has: what asks with it changes nothing, and tells whether it may."""


class SqsAdministration(Administration):
    """The queues of a hub, and those of their dead letters.

    Args:
        location: As of `SqsQueue`.
        environment: Not needed.
    """

    def __init__(self, location: Location, environment: Environment) -> None:
        del environment
        self._place = read_place(location)
        self._region = read_settings(location).region or "*"
        self._requests = Requests(read_settings(location))

    async def aclose(self) -> None:
        await self._requests.aclose()

    async def provision(self, queues: Sequence[QueueName], *, dry_run: bool) -> AsyncIterator[Measure]:
        await self._requests.open()
        for queue in queues:
            names = queue_names(self._place, queue)
            yield await self._provide(names.dead, attributes_of_dead(), dry_run=dry_run)
            # Missing, it has no ARN yet: then this was a dry run, and the other queue cannot point to it either.
            dead = await self._attributes_of(names.dead)
            needed = attributes_of_main("" if dead is None else dead["QueueArn"])
            yield await self._provide(names.main, needed, dry_run=dry_run)

    async def examine(self, queues: Sequence[QueueName]) -> AsyncIterator[Finding]:
        """As `Administration.examine`.

        Not tried here, because it cannot be without sending or counting a delivery: SendMessage and ReceiveMessage.
        """
        await self._requests.open()
        for queue in queues:
            names = queue_names(self._place, queue)
            try:
                async for finding in self._examine(names):
                    yield finding
            except Misuse as problem:
                yield Finding(
                    f"queue {names.main}", str(problem), f"Allow {', '.join(_WORKER_ACTIONS)} on it, or do as told."
                )

    def policies(self, queues: Sequence[QueueName]) -> Mapping[str, str]:
        del queues
        resource = f"arn:aws:sqs:{self._region}:*:{hub_part(self._place)}-*"
        roles = {"worker": _WORKER_ACTIONS, "client": _CLIENT_ACTIONS, "sweeper": _CLIENT_ACTIONS}
        return {role: _policy(actions, resource) for role, actions in roles.items()}

    async def _provide(self, name: str, needed: dict[str, str], *, dry_run: bool) -> Measure:
        there = await self._attributes_of(name)
        if there is None:
            if not dry_run:
                await self._requests.ask("create_queue", name, QueueName=name, Attributes=needed)
            return Measure(f"queue {name}", "create")
        wrong = differing(there, needed)
        if wrong and not dry_run:
            url = await self._url_of(name)
            await self._requests.ask("set_queue_attributes", name, QueueUrl=url, Attributes=wrong)
        return Measure(f"queue {name}", f"set {', '.join(sorted(wrong))}" if wrong else "")

    async def _examine(self, names: QueueNames) -> AsyncIterator[Finding]:
        dead = await self._attributes_of(names.dead)
        yield _finding(names.dead, dead, attributes_of_dead())
        main = await self._attributes_of(names.main)
        yield _finding(names.main, main, attributes_of_main("" if dead is None else dead["QueueArn"]))
        if main is not None:
            yield await self._try(names.main, "delete_message_batch", "sqs:DeleteMessage")
            yield await self._try(
                names.main, "change_message_visibility_batch", "sqs:ChangeMessageVisibility", VisibilityTimeout=0
            )

    async def _try(self, name: str, operation: str, action: str, **extra: Any) -> Finding:
        url = await self._url_of(name)
        entries = [{"Id": "0", "ReceiptHandle": _NO_RECEIPT, **extra}]
        try:
            await self._requests.ask(operation, name, QueueUrl=url, Entries=entries)
        except Misuse as problem:
            return Finding(f"right {action}", str(problem), f"Allow {action} on the queue {name}.")
        return Finding(f"right {action}", f"is there on {name}")

    async def _url_of(self, name: str) -> str:
        answer = await self._requests.ask("get_queue_url", name, QueueName=name)
        return str(answer["QueueUrl"])

    async def _attributes_of(self, name: str) -> dict[str, str] | None:
        """Give the attributes of a queue; None: it is not there."""
        try:
            url = await self._url_of(name)
            answer = await self._requests.ask("get_queue_attributes", name, QueueUrl=url, AttributeNames=["All"])
        except QueueGone:
            return None
        attributes: dict[str, str] = answer["Attributes"]
        if attributes.get("FifoQueue") == "true":
            raise Misuse(
                f"The queue {name} is a FIFO queue, Perdure needs a standard one: delete it while it is empty."
            )
        return attributes


def _finding(name: str, there: dict[str, str] | None, needed: dict[str, str]) -> Finding:
    if there is None:
        return Finding(f"queue {name}", "is not there", "Run `perdure provision`.")
    wrong = differing(there, needed)
    told = ", ".join(f"{each}={there.get(each, 'none')}" for each in wrong)
    return Finding(f"queue {name}", told or "has the right attributes", "Run `perdure provision`." if wrong else "")


def _policy(actions: Sequence[str], resource: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)
