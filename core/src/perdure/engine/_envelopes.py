"""Packing messages: into which queue, under which id, not before when.

Ids derive from records: whoever packs a message again packs the same one (R2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure import codec
from perdure.ids import Key, message_id, partition_of
from perdure.messages import Message, TimerDue, Wake
from perdure.spi import Envelope, QueueName

if TYPE_CHECKING:
    from perdure.engine._state import InstanceState
    from perdure.spi import Delivery

__all__ = [
    "POISONED",
    "envelope",
    "hop",
    "retry_wake",
    "stall_delay_seconds",
    "tasks_queue",
    "turns_queue",
    "wake",
]

POISONED = "perdure.Poisoned"
"""Failure type of an instance or activity that took its process down: it is only ever tried alone (R15)."""

STALL_DELAY_FIRST_SECONDS = 1.0
STALL_DELAY_MAX_SECONDS = 60.0
STALL_DOUBLINGS_MAX = 6
"""Doublings of the first delay that reach the longest one; many more would not fit a float."""


def turns_queue(name: str) -> QueueName:
    """Name the queue of turns `name`."""
    return QueueName(f"turns:{name}")


def tasks_queue(name: str) -> QueueName:
    """Name the queue of activities `name`."""
    return QueueName(f"tasks:{name}")


def envelope(queue: QueueName, group: Key, name: str, message: Message, *, not_before: float = 0.0) -> Envelope:
    """Pack a message.

    Args:
        queue: Where to.
        group: Instance that it is about.
        name: Its id.
        message: What it says.
        not_before: Seconds since the epoch; 0 means at once.
    """
    return Envelope(queue, name, group, codec.encode(message), not_before, partition_of(group))


def wake(
    key: Key,
    incarnation: str,
    version: int,
    queue: str,
    *,
    attempt: int = 0,
    alone: bool = False,
    not_before: float = 0.0,
) -> Envelope:
    """Make a message that says: look at this instance.

    Args:
        key: Which one.
        incarnation: Of the instance.
        version: Of the record that there is to look at.
        queue: Name of the queue of turns that it lives in.
        attempt: Which try of a stalled instance; 0 for a nudge, which is no part of the tries.
        alone: Run it with nothing else in the process (R15).
        not_before: Seconds since the epoch; 0 means at once.
    """
    name = message_id(incarnation, 0, f"w{version}.{attempt}")
    message = Wake(incarnation, version, attempt, alone)
    return envelope(turns_queue(queue), key, name, message, not_before=not_before)


def stall_delay_seconds(attempt: int) -> float:
    """Tell how long a stalled instance waits before try `attempt` (1, 2, …): doubling from 1 s up to a minute."""
    doublings = min(attempt - 1, STALL_DOUBLINGS_MAX)
    return min(STALL_DELAY_FIRST_SECONDS * 2.0**doublings, STALL_DELAY_MAX_SECONDS)


def retry_wake(state: InstanceState, attempt: int, now: float) -> Envelope:
    """Make the message that has a stalled instance tried again: a new one each time, so that none is burnt (R15).

    Args:
        state: Of an instance that is stalled.
        attempt: 1 for the first try after it began to be; then one more than the try that failed.
        now: When the try before failed, seconds since the epoch.
    """
    assert state.started is not None
    assert state.stalled is not None
    return wake(
        state.key,
        state.incarnation,
        state.stalled_version,
        state.started.queue,
        attempt=attempt,
        alone=state.stalled.failure.type == POISONED,
        not_before=now + stall_delay_seconds(attempt),
    )


def hop(state: InstanceState, message: Message, delivery: Delivery) -> Envelope:
    """Send an early message again for when it is due (R13). The old one is completed with the same Step."""
    due = state.begins_at or (state.next_due() if isinstance(message, TimerDue) else 0.0)
    return msgspec.structs.replace(delivery.envelope, not_before=due)
