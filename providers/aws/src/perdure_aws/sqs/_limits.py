"""What SQS can do, in numbers, and the refusal of what it cannot: its emulators, and partly itself, say yes to more.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perdure.spi import Misuse, QueueCapabilities, QueueName, queue_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from perdure.spi import Envelope

__all__ = [
    "BATCH_MAX",
    "CAPABILITIES",
    "HEADER_BYTES_MAX",
    "POLL_SECONDS_MAX",
    "REDRIVE_AFTER",
    "REQUEST_BYTES_MAX",
    "RETENTION_SECONDS",
    "check_delay",
    "check_lease",
    "check_messages",
    "delay_of",
    "limits_of",
]

REQUEST_BYTES_MAX = 2**20
"""Of one message, and of all messages of one request together."""

BATCH_MAX = 10
POLL_SECONDS_MAX = 20
RETENTION_SECONDS = 14 * 86_400
"""The longest there is: what nobody received for so long is gone."""

HEADER_BYTES_MAX = 32 * 1024
"""What is kept free in a message for its header: id, group, and the reason of one that was put aside."""

REDRIVE_AFTER = 20
"""After so many deliveries SQS itself puts a message aside: if all who should have done it died of it."""

_HOUR_SECONDS = 3600

_QUEUE = QueueCapabilities(
    # Bodies that are no text are sent as base64: four characters for three bytes.
    body_bytes_max=(REQUEST_BYTES_MAX - HEADER_BYTES_MAX) // 4 * 3,
    delay_seconds_max=900,
    # A message is hidden for 12 hours in all. An hour of them stays for the renewal of a lease that was the longest.
    lease_seconds_max=11 * _HOUR_SECONDS,
    lease_total_seconds_max=12 * _HOUR_SECONDS,
    deliveries_max=10,
    send_batch_max=1000,
    receive_batch_max=BATCH_MAX,
    exclusive_groups=False,
    detects_lost_lease=False,
)

CAPABILITIES: Mapping[str, QueueCapabilities] = {"turns": _QUEUE, "tasks": _QUEUE}


def limits_of(queue: QueueName) -> QueueCapabilities:
    """Look up what the class of a queue can do.

    Raises:
        Misuse: There is no such class.
    """
    found = CAPABILITIES.get(queue_class(queue))
    if found is None:
        classes = " or ".join(CAPABILITIES)
        raise Misuse(f"{queue!r} is of no class of queues that there is: begin its name with {classes}.")
    return found


def check_messages(messages: Iterable[Envelope], now: float) -> None:
    """Refuse messages that cannot be sent, before any is.

    Raises:
        Misuse: A body is too large, a time too far or none; the message names it.
    """
    for message in messages:
        limits = limits_of(message.queue)
        if not math.isfinite(message.not_before):
            raise Misuse(f"Message {message.message_id!r}: not_before is {message.not_before}, no time: 0 is at once.")
        if len(message.body) > limits.body_bytes_max:
            raise Misuse(
                f"Message {message.message_id!r}: a body has at most body_bytes_max={limits.body_bytes_max} bytes, "
                f"this one has {len(message.body)}: put what is large out of line."
            )
        check_delay(message.queue, max(0.0, message.not_before - now))


def check_delay(queue: QueueName, delay_seconds: float) -> None:
    """Refuse a delay that SQS does not keep.

    Raises:
        Misuse: It is negative, or over the limit.
    """
    most = limits_of(queue).delay_seconds_max
    if not 0 <= delay_seconds <= most:
        raise Misuse(
            f"{queue}: a delay is 0 to delay_seconds_max={most} seconds, not {delay_seconds}: send it in hops."
        )


def check_lease(queue: QueueName, lease_seconds: float) -> None:
    """Refuse a lease that SQS does not give.

    Raises:
        Misuse: It is 0 or less, or over the limit.
    """
    most = limits_of(queue).lease_seconds_max
    if not 0 < lease_seconds <= most:
        raise Misuse(f"{queue}: a lease is above 0 and at most lease_seconds_max={most} seconds, not {lease_seconds}.")


def delay_of(message: Envelope, now: float) -> int:
    """Tell how long to keep a message: SQS counts whole seconds, and no message comes before its time."""
    return math.ceil(max(0.0, message.not_before - now))
