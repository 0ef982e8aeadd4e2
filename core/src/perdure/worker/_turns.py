"""Mailboxes: messages of one instance wait together and are handled by one runner at a time.

Everything that waits when a turn begins becomes its input, so a busy instance takes few turns. Several instances run
side by side; one instance never runs twice in this worker.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure import codec
from perdure.engine import envelope, turns_queue
from perdure.ids import Key, message_id
from perdure.messages import TaskEnded
from perdure.spi import Delivery, Envelope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from perdure.messages import Message

__all__ = ["Arrival", "Mailboxes", "as_sent", "deliveries_of", "nudge"]

NEVER_SENT = ""
"""Receipt of what a worker tells itself."""

WAITING_MAX = 1_000
"""Messages that wait for busy instances, after which no more are received: the others are for other workers."""


class Arrival(NamedTuple):
    """A message for an instance, and the delivery that disappears when a turn has recorded it.

    `reply_to` is set for the outcome of an activity that this worker ran: then the delivery is the activity's own
    message (R17), and this is the queue where the outcome would go as a message.
    """

    message: Message
    delivery: Delivery
    reply_to: str = ""

    @property
    def is_local(self) -> bool:
        """Whether no other worker knows of this outcome."""
        return bool(self.reply_to)


def nudge(sent: Envelope) -> Arrival:
    """Make a Wake to oneself. It was never sent: if it gets lost, nothing is."""
    message = codec.decode_message(sent.body, where="a nudge")
    return Arrival(message, Delivery(sent, receipt=NEVER_SENT, delivery_count=0, lease_until=0.0))


def deliveries_of(arrivals: Iterable[Arrival]) -> tuple[Delivery, ...]:
    """Give what the queue knows of, to be completed or let go."""
    return tuple([arrival.delivery for arrival in arrivals if arrival.delivery.receipt != NEVER_SENT])


def as_sent(key: Key, arrival: Arrival, not_before: float) -> Envelope:
    """Make the message that others get in place of a held one; an outcome is sent, not run again."""
    message = arrival.message
    if not arrival.is_local:
        return msgspec.structs.replace(arrival.delivery.envelope, not_before=not_before)
    assert isinstance(message, TaskEnded)
    name = message_id(message.incarnation, message.execution, f"{message.outcome.seq}/done")
    return envelope(turns_queue(arrival.reply_to), key, name, message, not_before=not_before)


class Mailboxes:
    """What waits, by instance, and who is at work.

    Args:
        carry_out: Handles everything that waits for an instance; must outlive its own failures.
        instances_max: Instances in work at the same time, as far as `free` is asked before receiving.
    """

    def __init__(self, carry_out: Callable[[Key, list[Arrival]], Awaitable[None]], *, instances_max: int) -> None:
        self._carry_out = carry_out
        self._instances_max = instances_max
        self._waiting: dict[Key, list[Arrival]] = {}
        self._waiting_count = 0
        self._runners: dict[Key, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more messages may be received: each may be of another instance, or all of one that is busy."""
        return min(self._instances_max - len(self._runners), WAITING_MAX - self._waiting_count)

    @property
    def busy(self) -> int:
        """How many instances are in work."""
        return len(self._runners)

    def put(self, key: Key, arrival: Arrival) -> None:
        """Add a message; a runner takes it at once, or with its next turn."""
        self._waiting.setdefault(key, []).append(arrival)
        self._waiting_count += 1
        if key not in self._runners:
            self._runners[key] = asyncio.get_running_loop().create_task(self._run(key))

    async def _run(self, key: Key) -> None:
        try:
            while arrivals := self._waiting.pop(key, None):
                self._waiting_count -= len(arrivals)
                await self._carry_out(key, arrivals)
                self._changed.set()
        finally:
            del self._runners[key]
            self._waiting_count -= len(self._waiting.pop(key, ()))  # broken off: what waits comes again
            self._changed.set()

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until a condition holds that changes when messages were handled or when `nudge` is called."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    def nudge(self) -> None:
        """Have those who wait look again."""
        self._changed.set()

    def break_off(self) -> None:
        """End everything that is in work, wherever it is: its messages come again."""
        for runner in self._runners.values():
            runner.cancel()
