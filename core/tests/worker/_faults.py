"""What can go wrong between a process and its hub, put around the store, the queue or the committer.

Each wrapper is a real store, queue or committer to core; what it wraps is the in-memory one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Committer, HistoryStore, Unavailable, Unknown, WorkQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi import (
        Append,
        Clock,
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

__all__ = [
    "Gated",
    "Life",
    "LosesAnswers",
    "MortalCommitter",
    "MortalQueue",
    "MortalStore",
    "Outage",
    "ProcessDied",
]


GATE_LOOK_SECONDS = 0.01


class ProcessDied(BaseException):
    """The process is gone: no code of it may go on, and nothing it does has an effect."""


class Life:
    """Whether a process lives, and at which of its calls to the hub it dies.

    Each call has two points: before it has its effect, and after it, when its answer is lost.

    Args:
        dies_at: Number of the point, from 1; 0 means that it lives on.
    """

    def __init__(self, dies_at: int = 0) -> None:
        self.dies_at = dies_at
        self.points = 0
        self.is_over = False
        self.last = ""

    def die(self) -> None:
        """End it."""
        self.is_over = True

    def revive(self) -> None:
        """Let the test itself close what the dead process had open."""
        self.is_over = False

    def point(self, name: str) -> None:
        """Pass a point, or die there."""
        if self.is_over:
            raise ProcessDied(name)
        self.points += 1
        self.last = name
        if self.points == self.dies_at:
            self.is_over = True
            raise ProcessDied(name)


class MortalStore(HistoryStore):
    """A store as a mortal process sees it."""

    def __init__(self, inner: HistoryStore, life: Life) -> None:
        self.inner = inner
        self.life = life
        self.capabilities = inner.capabilities

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        self.life.point("before read")
        answer = await self.inner.read(key, after=after, known=known)
        self.life.point("after read")
        return answer

    async def append(self, append: Append) -> Committed | Conflict:
        self.life.point(f"before append {append.version - append.expected}")
        answer = await self.inner.append(append)
        self.life.point(f"after append {append.version - append.expected}")
        return answer

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        self.life.point("before purge")
        answer = await self.inner.purge(key, expected)
        self.life.point("after purge")
        return answer

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        self.life.point("scan")
        async for summary in self.inner.scan(query):
            yield summary

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        self.life.point("changed")
        return await self.inner.changed(key, known, wait_seconds)

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        self.life.point("before put_payload")
        await self.inner.put_payload(payload, data)
        self.life.point("after put_payload")

    async def get_payload(self, payload: StoredPayload) -> bytes:
        self.life.point("get_payload")
        return await self.inner.get_payload(payload)

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        self.life.point("payloads")
        async for payload in self.inner.payloads(scope):
            yield payload

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        self.life.point("delete_payloads")
        await self.inner.delete_payloads(payloads)


class MortalQueue(WorkQueue):
    """A queue as a mortal process sees it."""

    def __init__(self, inner: WorkQueue, life: Life) -> None:
        self.inner = inner
        self.life = life
        self.capabilities = inner.capabilities

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def send(self, messages: Sequence[Envelope]) -> list[SendOutcome]:
        self.life.point("before send")
        answer = await self.inner.send(messages)
        self.life.point("after send")
        return answer

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        self.life.point(f"before receive {queue}")
        answer = await self.inner.receive(
            queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=wait_seconds, worker=worker
        )
        self.life.point(f"after receive {queue}")
        return answer

    async def complete(self, deliveries: Sequence[Delivery]) -> list[bool]:
        self.life.point("before complete")
        answer = await self.inner.complete(deliveries)
        self.life.point("after complete")
        return answer

    async def abandon(self, deliveries: Sequence[Delivery], *, delay_seconds: float = 0) -> None:
        self.life.point("before abandon")
        await self.inner.abandon(deliveries, delay_seconds=delay_seconds)
        self.life.point("after abandon")

    async def renew(self, deliveries: Sequence[Delivery], lease_seconds: float) -> list[bool]:
        self.life.point("before renew")
        answer = await self.inner.renew(deliveries, lease_seconds)
        self.life.point("after renew")
        return answer

    async def dead_letter(self, deliveries: Sequence[Delivery], reason: str) -> None:
        self.life.point("before dead_letter")
        await self.inner.dead_letter(deliveries, reason)
        self.life.point("after dead_letter")


class Gated(MortalQueue):
    """A queue that gives nothing to its process while it is shut; sending and completing go on.

    Attributes:
        is_open: Whether it gives.
    """

    def __init__(self, inner: WorkQueue, clock: Clock) -> None:
        super().__init__(inner, Life())
        self.is_open = True
        self._clock = clock

    async def receive(
        self, queue: QueueName, *, limit: int, lease_seconds: float, wait_seconds: float, worker: WorkerId
    ) -> list[Delivery]:
        until = self._clock.monotonic() + wait_seconds
        while True:
            if self.is_open:
                found = await self.inner.receive(
                    queue, limit=limit, lease_seconds=lease_seconds, wait_seconds=0, worker=worker
                )
                if found:
                    return found
            if self._clock.monotonic() >= until:
                return []
            await self._clock.sleep(GATE_LOOK_SECONDS)


class MortalCommitter(Committer):
    """A committer as a mortal process sees it."""

    def __init__(self, inner: Committer, life: Life) -> None:
        self.inner = inner
        self.life = life
        self.capabilities = inner.capabilities

    async def commit(self, step: Step) -> Done | Conflict:
        self.life.point("before commit")
        answer = await self.inner.commit(step)
        self.life.point("after commit")
        return answer


class LosesAnswers(Committer):
    """A committer whose answers get lost, as told, each before or after its effect.

    Attributes:
        plan: What happens to each commit in turn: `ok`, `before` or `after`; then `ok` for ever.
        steps: Every Step that was committed, with its fate.
    """

    def __init__(self, inner: Committer, plan: Sequence[str]) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities
        self.plan = list(plan)
        self.steps: list[tuple[Step, str]] = []

    async def commit(self, step: Step) -> Done | Conflict:
        fate = self.plan.pop(0) if self.plan else "ok"
        self.steps.append((step, fate))
        if fate == "before":
            raise Unknown("the request got lost")
        answer = await self.inner.commit(step)
        if fate == "after":
            raise Unknown("the answer got lost")
        return answer


class Outage:
    """A hub that is away for a while: every call raises Unavailable, and has no effect.

    Attributes:
        is_on: Whether it is away now.
        refused: How many calls met it.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.refused = 0

    def check(self) -> None:
        """Refuse a call, while it is away."""
        if self.is_on:
            self.refused += 1
            raise Unavailable("the hub is away")

    def store(self, inner: HistoryStore) -> HistoryStore:
        """Put it before a store."""
        return MortalStore(inner, _Gate(self))

    def queue(self, inner: WorkQueue) -> WorkQueue:
        """Put it before a queue."""
        return MortalQueue(inner, _Gate(self))

    def committer(self, inner: Committer) -> Committer:
        """Put it before a committer."""
        return MortalCommitter(inner, _Gate(self))


class _Gate(Life):
    """Passes while there is no outage. An answer gets lost only if the outage began under way."""

    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def point(self, name: str) -> None:
        if not name.startswith("after"):
            self._outage.check()
