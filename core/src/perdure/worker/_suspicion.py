"""Instances over which processes die: suspected, run alone, and only then called poisoned (R15).

    a message came back three times ──► suspected: recorded as stalled, tried alone
    tried alone, and it ran         ──► as any other
    tried alone, and the process died, again and again ──► poisoned: recorded; each further try takes one process

What came for such an instance is recorded and completed meanwhile. Only losses while it was alone count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure import events
from perdure.engine import POISONED
from perdure.errors import Failure
from perdure.messages import Wake
from perdure.spi import queue_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.engine import InstanceState
    from perdure.spi import WorkQueue
    from perdure.worker._turns import Arrival

__all__ = [
    "is_poisoned",
    "is_suspect",
    "is_under_suspicion",
    "losses_alone",
    "poisoned",
    "suspected",
    "was_lost_enough",
]

DELIVERIES_IN_COMPANY_MAX = 3
"""Deliveries of a message in company; with the next one its instance is suspected."""
LOST_ALONE_MAX = 3
"""Losses of a suspected instance while it was alone, after which it is called poisoned."""

_POISONED_REASON = "poisoned: "


def is_suspect(arrival: Arrival, queue: WorkQueue) -> bool:
    """Tell whether a message came back so often that its instance seems to take processes down."""
    deliveries_max = queue.capabilities[queue_class(arrival.delivery.envelope.queue)].deliveries_max
    return arrival.delivery.delivery_count >= min(DELIVERIES_IN_COMPANY_MAX + 1, deliveries_max)


def suspected(arrivals: Iterable[Arrival]) -> events.TurnFailed:
    """Say that an instance may be what processes died of."""
    lost = max(arrival.delivery.delivery_count for arrival in arrivals) - 1
    reason = f"suspected: {lost} workers were lost with it in work, it is tried with nothing else in the process"
    return events.TurnFailed(Failure(POISONED, reason), reason)


def is_under_suspicion(state: InstanceState) -> bool:
    """Tell whether an instance may only be run alone."""
    return state.stalled is not None and state.stalled.failure.type == POISONED


def is_poisoned(stalled: str) -> bool:
    """Tell from a summary whether an instance is known to take its process down."""
    return stalled.startswith(_POISONED_REASON)


def losses_alone(arrivals: Iterable[Arrival]) -> int | None:
    """Count how often a process died that ran nothing but this instance; None if nobody asks to run it so now."""
    counts = [a.delivery.delivery_count for a in arrivals if isinstance(a.message, Wake) and a.message.alone]
    return max(counts) - 1 if counts else None


def was_lost_enough(state: InstanceState, lost: int, queue: WorkQueue) -> bool:
    """Tell whether to record that it is poisoned rather than to try again; once it is, each try takes one process."""
    known = state.stalled is not None and is_poisoned(state.stalled.reason)
    # The last delivery is for the record: after it the message would be gone, and nobody would know (R15).
    return lost >= min(1 if known else LOST_ALONE_MAX, queue.capabilities["turns"].deliveries_max - 1)


def poisoned() -> events.TurnFailed:
    """Say that an instance takes its process down."""
    reason = f"{_POISONED_REASON}process after process died while it ran nothing but this instance"
    return events.TurnFailed(Failure(POISONED, reason), reason)
