"""Run: a handle to one instance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from perdure import codec, events
from perdure.client._send import send_event
from perdure.errors import Corrupt, Failure, NotFound, OrchestrationError, Unavailable
from perdure.spi import Head, NotModified

if TYPE_CHECKING:
    from perdure.authoring import Event, Orchestration
    from perdure.hub import OpenHub
    from perdure.ids import Key
    from perdure.spi import Summary

__all__ = ["Run"]

R = TypeVar("R")
T = TypeVar("T")

LOOK_AGAIN_SECONDS = 20.0
OUTAGE_SECONDS_MAX = 60.0
"""How long in a row the hub may be away before a wait for a result gives up."""
OUTAGE_LOOK_SECONDS = 1.0
NO_RECORDS: Final = 2**62
"""Read after this version: the summary alone."""


class Run(Generic[R]):
    """One instance: made by `start` and `get`.

    Attributes:
        id: Instance id.
    """

    def __init__(self, hub: OpenHub, key: Key, incarnation: str, definition: Orchestration[..., R] | None) -> None:
        self.id: str = key
        self._hub = hub
        self._key = key
        self._incarnation = incarnation
        self._definition = definition

    def __repr__(self) -> str:
        return f"<run {self.id!r} in {self._hub.name}>"

    async def summary(self) -> Summary:
        """Read what a listing shows of it, fresh.

        Raises:
            NotFound: It was purged or replaced.
        """
        return (await self._read()).summary

    async def result(self, *, timeout_seconds: float | None = None) -> R:
        """Wait for the end and give the result.

        Args:
            timeout_seconds: How long to wait; None means for ever. The instance goes on either way.

        Returns:
            What the orchestration returned, by its annotation where the orchestration is known.

        Raises:
            OrchestrationError: It failed or was canceled; `failure` tells how.
            TimeoutError: It has not ended in time.
            NotFound: It was purged or replaced; that an open instance has taken its place is noticed within 20 s.
            Corrupt: What is stored does not say how it ended: tell a person.
            Unavailable: The hub has been away for a minute; waiting again is safe.
        """
        head = await self._ended(timeout_seconds)
        last = await self._read(after=head.version - 1)
        outcome = codec.decode_record(last.records[-1].data, where=f"{self.id}: its last record").decisions[-1]
        match outcome:
            case events.ExecutionCompleted(result):
                return self._decoded(await self._hub.get_payload(self._key, result))
            case events.ExecutionFailed(failure):
                raise self._error(head.summary, failure)
            case events.ExecutionCanceled(reason):
                raise self._error(head.summary, Failure("perdure.Canceled", reason, retryable=False))
            case _:
                raise Corrupt(f"{self.id}: it is {head.summary.status}, but its last record does not say how it ended.")

    async def _ended(self, timeout_seconds: float | None) -> Head:
        clock = self._hub.clock
        until = math.inf if timeout_seconds is None else clock.monotonic() + timeout_seconds
        answered_at = clock.monotonic()
        known: Head | None = None
        while True:
            try:
                left = until - clock.monotonic()
                await self._hub.ended(
                    self._key, known.token if known else None, max(0.0, min(LOOK_AGAIN_SECONDS, left))
                )
                known = await self._read(known=known)
                if known.summary.is_closed:
                    return known
                answered_at = clock.monotonic()
                if left <= 0:
                    status = known.summary.status
                    raise TimeoutError(f"{self.id!r} is {status} after {timeout_seconds:g} s; it goes on.")
            except Unavailable:
                if clock.monotonic() - answered_at >= OUTAGE_SECONDS_MAX or clock.monotonic() >= until:
                    raise
                await clock.sleep(OUTAGE_LOOK_SECONDS)

    async def _read(self, *, known: Head | None = None, after: int = NO_RECORDS) -> Head:
        head = await self._hub.store.read(self._key, after=after, known=None if known is None else known.token)
        if isinstance(head, NotModified):
            assert known is not None
            return known
        if not isinstance(head, Head) or head.summary.incarnation != self._incarnation:
            raise NotFound(f"The instance {self.id!r} was purged or replaced.", instance_id=self.id)
        return head

    def _decoded(self, data: bytes) -> R:
        if self._definition is not None:
            return self._definition.decode_result(data)
        result: R = msgspec.msgpack.decode(data)
        return result

    def _error(self, summary: Summary, failure: Failure) -> Exception:
        return OrchestrationError(
            f"Orchestration {summary.name!r} ({self.id}) {summary.status.lower()}: {failure}",
            failure=failure,
            name=summary.name,
            instance_id=self.id,
        )

    async def send(self, event: Event[T] | str, value: T, *, event_id: str | None = None) -> None:
        """Send an external event; see `Client.send`.

        Args:
            event: Which event; by its name, the payload is not checked here.
            value: The payload.
            event_id: Makes it count once however often it is sent; None makes one up.
        """
        await send_event(self._hub, await self.summary(), event, value, event_id)
