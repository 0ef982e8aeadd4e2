"""What AWS Lambda calls a function with when messages of a queue are its event source."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from perdure.spi import Corrupt, Delivery, Envelope, Key, Misuse, QueueName, TooNew
from perdure_aws.sqs._messages import read_message
from perdure_aws.sqs._names import queue_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perdure_aws._settings import Place

__all__ = ["UNREADABLE", "read_event"]

logger = logging.getLogger("perdure.aws")

UNREADABLE = QueueName("unreadable")
"""Queue of messages that cannot be read. Nobody asks for it, so they are reported as not done; Lambda would delete what
is not, and a message of a newer release with it."""

_LEASE_SECONDS = 30
"""An event does not tell the queue's visibility timeout; this is SQS's own, and less than any that Lambda accepts."""


def read_event(event: Mapping[str, Any], place: Place, queues: Sequence[QueueName], now: float) -> dict[str, Delivery]:
    """Read the messages of an event.

    Args:
        event: `{"Records": [{"messageId": …, "eventSourceARN": …, …}]}`.
        place: The hub.
        queues: Which of its queues they may be of.
        now: On the monotonic clock, seconds.

    Returns:
        Messages by the name that `batchItemFailures` gives them.

    Raises:
        Misuse: It is another event, or of another queue.
    """
    records = cast("list[Any]", event.get("Records"))
    if type(records) is not list or not all(map(_is_ours, records)):
        raise Misuse("This event holds no messages of SQS: give the function a queue of the hub as its event source.")
    by_name = {queue_names(place, queue).main: queue for queue in queues}
    return {record["messageId"]: _read(record, _queue_of(record, by_name), now + _LEASE_SECONDS) for record in records}


def _is_ours(record: Any) -> bool:
    needed = {"messageId", "receiptHandle", "body", "attributes", "eventSourceARN"}
    return isinstance(record, dict) and needed <= record.keys() and "ApproximateReceiveCount" in record["attributes"]


def _queue_of(record: dict[str, Any], by_name: Mapping[str, QueueName]) -> QueueName:
    name = record["eventSourceARN"].rpartition(":")[2]
    queue = by_name.get(name)
    if queue is None:
        known = ", ".join(f"{queue} is {name}" for name, queue in by_name.items())
        raise Misuse(
            f"A message of the queue {name}, which this function does not serve ({known}): correct the event source, "
            "or name the queue in the settings of the worker."
        )
    return queue


def _read(record: dict[str, Any], queue: QueueName, lease_until: float) -> Delivery:
    delivery_count = int(record["attributes"]["ApproximateReceiveCount"])
    try:
        envelope, header = read_message(record["body"], queue)
    except (Corrupt, TooNew) as problem:
        logger.error("Left alone: message %s: %s", record["messageId"], problem)  # noqa: TRY400 - the text says all
        envelope = Envelope(UNREADABLE, record["messageId"], Key("unreadable"), b"")
    else:
        delivery_count += header.delivery_count
    return Delivery(envelope, record["receiptHandle"], delivery_count, lease_until)
