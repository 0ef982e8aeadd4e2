"""Committer: the only way that core changes a hub, one `Step` at a time, in an order that survives a crash.

Append first, send second, acknowledge last. Whoever repeats a Step finds what it already did and does the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import msgspec

from perdure.spi.history import Append
from perdure.spi.queue import Delivery, Envelope, WorkerId

if TYPE_CHECKING:
    from perdure.spi.history import Conflict

__all__ = ["Claim", "Committer", "CommitterCapabilities", "Create", "Done", "Step"]


class CommitterCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a committer can do.

    Attributes:
        atomic: A Step happens as a whole or not at all (C3).
        claims: `Step.claim` is honoured where a lease is free to give (born leased, R17).
    """

    atomic: bool
    claims: bool


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Which of the messages that a Step sends its own worker would like to hold from birth, and for how long."""

    worker: WorkerId
    lease_seconds: float
    message_ids: frozenset[str]


class Create(msgspec.Struct, frozen=True, gc=False):
    """A new instance, and the message that tells how creating it went.

    Attributes:
        append: Its first record; `append.create` is set.
        then: Sent if the instance is mine, now or earlier: wakes it.
        otherwise: Sent if the id was taken by another: tells the parent. Part of the Step, so that a crash cannot fall
            between the verdict and the message.
    """

    append: Append
    then: Envelope
    otherwise: Envelope


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one change of a hub must do. Top to bottom; begin no line before the one above is durable.

    Attributes:
        append: 1. Only if the history still has the version that was read.
        create: 2. New instances, each under its own condition; one that is taken does not fail the Step. Their messages
            count as sent (3.).
        send: 3. Ids derive from the record: sending twice does no harm.
        complete: 4. Only now may the inputs disappear.
        claim: Which of `send` to lease to this worker.
    """

    append: Append | None = None
    create: tuple[Create, ...] = ()
    send: tuple[Envelope, ...] = ()
    complete: tuple[Delivery, ...] = ()
    claim: Claim | None = None


class Done(msgspec.Struct, frozen=True, gc=False):
    """The Step is durable as a whole.

    Attributes:
        version: Of the appended record; 0 if there was none to append.
        created: One answer per create, in order. True: mine, now or earlier. False: the id was taken by another.
        claimed: Deliveries of sent messages that this worker holds already (C6).
        completed: One answer per delivery to complete, in order, as `WorkQueue.complete` gives it.
    """

    version: int
    created: tuple[bool, ...] = ()
    claimed: tuple[Delivery, ...] = ()
    completed: tuple[bool, ...] = ()


class Committer(ABC):
    """The only way core changes a hub: one Step, in order.

    C1  Nothing is sent before `append` and every `create` are durable.
    C2  Nothing is completed before everything was sent.
    C3  All or nothing where `capabilities.atomic`.
    C4  Steps of different keys may be committed at the same time and grouped; the conflict or failure of one never
        fails another.
    C5  An uncertain end raises Unknown; the same Step may be committed again, and what it already did is recognised.
    C6  `created` tells for each create: mine, or taken by another. `claimed` tells which sent messages this worker
        already holds a lease on (born leased).
    """

    capabilities: CommitterCapabilities

    @abstractmethod
    async def commit(self, step: Step) -> Done | Conflict:
        """Carry out a Step.

        Returns:
            Conflict if `append` met another version; then nothing of the Step was done.

        Raises:
            Unknown: The append may have happened: commit the identical Step again.
            Unavailable: It is not known to have been done as a whole: commit the identical Step again.
            Misuse: Something is over a limit. Nothing was done.
        """
