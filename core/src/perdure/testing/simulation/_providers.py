"""A store, a queue and a committer as one process sees them: far away, and over a line on which faults happen."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, TypeVar

from perdure.spi import Committer, HistoryStore, Unavailable, Unknown, WorkQueue
from perdure.testing.simulation._faults import CallFault
from perdure.testing.simulation._trace import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

    from perdure.spi import (
        Append,
        Committed,
        Conflict,
        Delivery,
        Done,
        Envelope,
        Head,
        Key,
        Missing,
        NotModified,
        PayloadScope,
        Purged,
        Query,
        QueueName,
        SendOutcome,
        Step,
        StoredPayload,
        Summary,
        Token,
        Tombstone,
        WorkerId,
    )
    from perdure.testing.simulation._faults import FaultPlan
    from perdure.testing.simulation._trace import Trace

__all__ = ["FarCommitter", "FarQueue", "FarStore", "Line"]

T = TypeVar("T")

PATIENT_SECONDS = 7_200.0


class Line:
    """What lies between one process and the hub.

    Args:
        process: Its name.
        faults: What happens to calls.
        trace: Gets a line for each.
        begin: Begins what goes on outside of every process: a call that arrives late.

    Attributes:
        is_patient: Waits of a healthy hub last longer than asked, so that virtual months cost few steps.
    """

    def __init__(
        self, process: str, faults: FaultPlan, trace: Trace, begin: Callable[[Coroutine[object, object, None]], object]
    ) -> None:
        self.process = process
        self.is_patient = False
        self._faults = faults
        self._trace = trace
        self._begin = begin
        self._numbers = itertools.count(1)

    async def call(self, operation: str, subject: object, effect: Callable[[], Awaitable[T]]) -> T:
        """Make a call: there, effect, back. At each of the three the process may die, and others come first.

        Raises:
            Unavailable: Drawn: nothing happened.
            Unknown: Drawn: it may have happened, or may happen later.
        """
        number = next(self._numbers)
        what = f"{self.process}#{number} {operation} {describe(subject)}"
        kind, seconds = self._faults.of_call(self.process, number, operation) or (None, 0.0)
        await asyncio.sleep(seconds if kind is CallFault.SLOW else 0)
        self._refuse(kind, what)
        if kind is CallFault.LATE:
            self._begin(self._arrive_late(what, effect, seconds))
            raise Unknown("no answer to a call that may still arrive")
        answer = await self._arrive(what, effect)
        if kind is CallFault.TWICE:
            await self._arrive(f"{what}, again", effect)
        await asyncio.sleep(0)
        if kind is CallFault.ANSWER_LOST:
            raise Unknown("the answer got lost")
        return answer

    def _refuse(self, kind: CallFault | None, what: str) -> None:
        if kind is CallFault.LOST:
            self._note(f"{what} → lost")
            raise Unknown("the request got lost")
        if kind is CallFault.REFUSED or self._faults.is_away():
            self._note(f"{what} → refused")
            raise Unavailable("the hub refuses the call" if kind is CallFault.REFUSED else "the hub is away")

    async def _arrive(self, what: str, effect: Callable[[], Awaitable[T]]) -> T:
        try:
            answer = await effect()
        except Exception as problem:
            self._note(f"{what} → {type(problem).__name__}: {problem}")
            raise
        if answer != []:  # nothing received: idle workers would fill the trace
            self._note(f"{what} → {describe(answer)}")
        return answer

    async def _arrive_late(self, what: str, effect: Callable[[], Awaitable[object]], seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self._arrive(f"{what}, late", effect)
        except (Unavailable, Unknown):
            return  # the line of the outbox underneath has faults of its own; whoever asked heard nothing either

    def _note(self, text: str) -> None:
        self._trace.note(f"{asyncio.get_running_loop().time():.6f} {text}")


class FarStore(HistoryStore):
    """A store at the end of a line."""

    def __init__(self, inner: HistoryStore, line: Line) -> None:
        self._inner = inner
        self._line = line
        self.capabilities = inner.capabilities

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        """Call `HistoryStore.read`."""
        return await self._line.call("read", key, lambda: self._inner.read(key, after=after, known=known))

    async def append(self, append: Append) -> Committed | Conflict:
        """Call `HistoryStore.append`."""
        return await self._line.call("append", append, lambda: self._inner.append(append))

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        """Call `HistoryStore.purge`."""
        return await self._line.call("purge", key, lambda: self._inner.purge(key, expected))

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        """Call `HistoryStore.scan`, for all at once."""

        async def find() -> list[Summary]:
            return [summary async for summary in self._inner.scan(query)]

        for summary in await self._line.call("scan", "", find):
            yield summary

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        """Call `HistoryStore.changed`."""
        return await self._line.call("changed", key, lambda: self._inner.changed(key, known, wait_seconds))

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        """Call `HistoryStore.put_payload`."""
        await self._line.call("put_payload", payload.name, lambda: self._inner.put_payload(payload, data))

    async def get_payload(self, payload: StoredPayload) -> bytes:
        """Call `HistoryStore.get_payload`."""
        return await self._line.call("get_payload", payload.name, lambda: self._inner.get_payload(payload))

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        """Call `HistoryStore.payloads`, for all at once."""

        async def find() -> list[StoredPayload]:
            return [payload async for payload in self._inner.payloads(scope)]

        for payload in await self._line.call("payloads", scope.key, find):
            yield payload

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        """Call `HistoryStore.delete_payloads`."""
        await self._line.call("delete_payloads", len(payloads), lambda: self._inner.delete_payloads(payloads))


class FarQueue(WorkQueue):
    """A queue at the end of a line."""

    def __init__(self, inner: WorkQueue, line: Line) -> None:
        self._inner = inner
        self._line = line
        self.capabilities = inner.capabilities

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        """Call `WorkQueue.send`."""
        return await self._line.call("send", list(messages), lambda: self._inner.send(messages))

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        """Call `WorkQueue.receive`."""
        wait = max(wait_seconds, PATIENT_SECONDS) if self._line.is_patient else wait_seconds

        def receive() -> Awaitable[list[Delivery]]:
            return self._inner.receive(
                queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=wait, worker=worker
            )

        return await self._line.call("receive", queue, receive)

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Call `WorkQueue.complete`."""
        return await self._line.call("complete", list(deliveries), lambda: self._inner.complete(deliveries))

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        """Call `WorkQueue.abandon`."""

        def abandon() -> Awaitable[None]:
            return self._inner.abandon(deliveries, delay_seconds=delay_seconds)

        await self._line.call("abandon", list(deliveries), abandon)

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        """Call `WorkQueue.renew`."""
        return await self._line.call("renew", list(deliveries), lambda: self._inner.renew(deliveries, lease_seconds))

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Call `WorkQueue.dead_letter`."""
        await self._line.call("dead_letter", list(deliveries), lambda: self._inner.dead_letter(deliveries, reason))


class FarCommitter(Committer):
    """A committer that does a Step as a whole, at the end of a line."""

    def __init__(self, inner: Committer, line: Line) -> None:
        self._inner = inner
        self._line = line
        self.capabilities = inner.capabilities

    async def commit(self, step: Step) -> Done | Conflict:
        """Call `Committer.commit`."""
        return await self._line.call("commit", step, lambda: self._inner.commit(step))
