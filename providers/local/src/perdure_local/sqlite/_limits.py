"""What this backend can do, and the refusal of what is past it, before any effect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from perdure.spi import Misuse, QueueCapabilities, StoreCapabilities, queue_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.spi import Append, Envelope, QueueName

__all__ = [
    "QUEUES",
    "STORE",
    "check_append",
    "check_delay",
    "check_envelopes",
    "check_lease",
    "limits_of",
]

_MIB = 2**20
_YEAR_SECONDS = 365 * 86_400
_VERSION_MAX = 2**63 - 1
"""Largest integer that a column holds."""

STORE = StoreCapabilities(
    record_bytes_max=64 * _MIB,
    inline_bytes_max=256 * 2**10,
    payload_bytes_max=100 * _MIB,
    scan_lag_seconds=0,
    notifies=True,
    server_time=False,
)
_QUEUE = QueueCapabilities(
    body_bytes_max=_MIB,
    delay_seconds_max=10 * _YEAR_SECONDS,
    lease_seconds_max=86_400,
    lease_total_seconds_max=math.inf,
    deliveries_max=20,
    send_batch_max=1000,
    receive_batch_max=1000,
    exclusive_groups=False,
    detects_lost_lease=True,
)
QUEUES = {"turns": _QUEUE, "tasks": _QUEUE}


def limits_of(queue: QueueName) -> QueueCapabilities:
    """Look up what the class of a queue can do.

    Raises:
        Misuse: There is no such class.
    """
    found = QUEUES.get(queue_class(queue))
    if found is None:
        raise Misuse(f"{queue!r} is of no class of queues that there is: begin its name with {' or '.join(QUEUES)}.")
    return found


def check_append(append: Append) -> None:
    """Refuse an append that could never be right.

    Raises:
        Misuse: The message names the value and the limit.
    """
    size = len(append.record)
    if size > STORE.record_bytes_max:
        raise Misuse(
            f"{append.key!r}: a record has at most record_bytes_max={STORE.record_bytes_max} bytes, "
            f"this one has {size}: put what is large out of line."
        )
    if not append.expected < append.version <= _VERSION_MAX:
        raise Misuse(f"{append.key!r}: version {append.version} is not above the expected version {append.expected}.")
    if append.summary.key != append.key:
        raise Misuse(f"{append.key!r}: the summary is of another instance, {append.summary.key!r}.")
    if not append.create and append.expected == 0:
        raise Misuse(f"{append.key!r}: only a create can expect that there is nothing: set create=True, or read first.")


def check_envelopes(envelopes: Iterable[Envelope], now: float) -> None:
    """Refuse messages that are over a limit.

    Args:
        envelopes: What is to be sent.
        now: Wall time.

    Raises:
        Misuse: The message names the value and the limit.
    """
    for envelope in envelopes:
        limits = limits_of(envelope.queue)
        if len(envelope.body) > limits.body_bytes_max:
            raise Misuse(
                f"Message {envelope.message_id!r}: a body has at most body_bytes_max={limits.body_bytes_max} bytes, "
                f"this one has {len(envelope.body)}: put what is large out of line."
            )
        if envelope.not_before:
            check_delay(envelope.queue, max(0.0, envelope.not_before - now))


def check_delay(queue: QueueName, delay_seconds: float) -> None:
    """Refuse a delay that the class of a queue does not keep.

    Raises:
        Misuse: The message names the value and the limit.
    """
    most = limits_of(queue).delay_seconds_max
    if not 0 <= delay_seconds <= most:
        raise Misuse(
            f"{queue}: a delay is 0 to delay_seconds_max={most} seconds, not {delay_seconds}: send it in hops."
        )


def check_lease(queue: QueueName, lease_seconds: float) -> None:
    """Refuse a lease that the class of a queue does not give.

    Raises:
        Misuse: The message names the value and the limit.
    """
    most = limits_of(queue).lease_seconds_max
    if not 0 < lease_seconds <= most:
        raise Misuse(f"{queue}: a lease is above 0 and at most lease_seconds_max={most} seconds, not {lease_seconds}.")
