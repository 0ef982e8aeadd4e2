"""OutboxCommitter: a Step over any store and any queue, without a transaction that spans them.

Crash at any line: the inputs are not completed, so they are received again; whoever handles them finds the record,
sends its stored outbox once more and completes them (R5). That is why `complete` comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.errors import Misuse, Unavailable, Unknown
from perdure.spi.commit import Committer, CommitterCapabilities, Done, Step
from perdure.spi.history import Committed, Conflict
from perdure.spi.queue import queue_class

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.spi.clock import Clock
    from perdure.spi.commit import Create
    from perdure.spi.history import Append, HistoryStore
    from perdure.spi.queue import Envelope, WorkQueue

__all__ = ["OutboxCommitter"]

APPEND_ATTEMPTS = 5
RETRY_FIRST_SECONDS = 0.05


class OutboxCommitter(Committer):
    """Append, create, send, complete: each begun only when the one before is durable."""

    capabilities = CommitterCapabilities(atomic=False, claims=False)

    def __init__(self, store: HistoryStore, queue: WorkQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    async def commit(self, step: Step) -> Done | Conflict:
        self._check_limits(step)
        version = 0
        if step.append is not None:
            outcome = await self._append(step.append)
            if isinstance(outcome, Conflict):
                return outcome
            version = outcome.version
        # Crash here: the record is durable and nobody knows. Its input comes again and sends the rest (R5).
        created = [await self._create(create) for create in step.create]
        messages = [c.then if mine else c.otherwise for c, mine in zip(step.create, created, strict=True)]
        await self._send([*messages, *step.send])
        # Crash here: everything is sent, the input comes again, is a duplicate, and the outbox goes out twice.
        completed = await self._queue.complete(step.complete) if step.complete else []
        return Done(version=version, created=tuple(created), completed=tuple(completed))

    def _check_limits(self, step: Step) -> None:
        """Refuse a Step as a whole: once its record is there, its messages have to go out."""
        record_bytes_max = self._store.capabilities.record_bytes_max
        for append in (step.append, *(create.append for create in step.create)):
            if append is not None and len(append.record) > record_bytes_max:
                raise Misuse(
                    f"{append.key}: the record has {len(append.record):,} bytes, the store takes record_bytes_max = "
                    f"{record_bytes_max:,}. Put payloads out of line."
                )
        for message in (*step.send, *(m for create in step.create for m in (create.then, create.otherwise))):
            limits = self._queue.capabilities.get(queue_class(message.queue))
            if limits is not None and len(message.body) > limits.body_bytes_max:
                raise Misuse(
                    f"{message.message_id}: the body has {len(message.body):,} bytes, {message.queue} takes "
                    f"body_bytes_max = {limits.body_bytes_max:,}. Put its payload out of line."
                )

    async def _append(self, append: Append) -> Committed | Conflict:
        """Repeat the identical bytes until the answer is definite (R4): other bytes could fork the history."""
        for attempt in range(APPEND_ATTEMPTS - 1):
            try:
                return await self._store.append(append)
            except Unknown:
                await self._clock.sleep(RETRY_FIRST_SECONDS * 2**attempt)
        return await self._store.append(append)

    async def _create(self, create: Create) -> bool:
        return isinstance(await self._append(create.append), Committed)

    async def _send(self, messages: Sequence[Envelope]) -> None:
        if not messages:
            return
        failed = [outcome for outcome in await self._queue.send(messages) if outcome.error is not None]
        if failed:
            first = failed[0]
            raise Unavailable(
                f"{len(failed)} of {len(messages)} messages were not sent, the first is {first.message_id}: "
                f"{first.error}. Commit the same Step again."
            ) from first.error
