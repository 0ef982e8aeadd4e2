"""MemoryCommitter: a Step as a whole, because nothing in it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.memory._histories import check_append
from perdure.spi import Committed, Committer, CommitterCapabilities, Conflict, Done, Step

if TYPE_CHECKING:
    from perdure.memory._queue import MemoryQueue
    from perdure.memory._store import MemoryStore

__all__ = ["MemoryCommitter"]


class MemoryCommitter(Committer):
    """Commits to any store and any queue of `memory:`, whether or not they have one name.

    Args:
        store: An open store.
        queue: An open queue, the one that received what Steps complete.
    """

    capabilities = CommitterCapabilities(atomic=True, claims=True)

    def __init__(self, store: MemoryStore, queue: MemoryQueue) -> None:
        self._store = store
        self._queue = queue

    async def commit(self, step: Step) -> Done | Conflict:
        self._check(step)
        # From here on nothing can fail and nothing waits: that is what makes it atomic.
        histories, messages = self._store.histories, self._queue.messages
        version = 0
        if step.append is not None:
            outcome = histories.append(step.append)
            if isinstance(outcome, Conflict):
                return outcome
            version = outcome.version
        created = tuple(isinstance(histories.append(create.append), Committed) for create in step.create)
        messages.send([c.then if mine else c.otherwise for c, mine in zip(step.create, created, strict=True)])
        numbers = messages.send(step.send)
        claimed = self._queue.claim(numbers, step.send, step.claim) if step.claim else []
        completed = messages.complete(step.complete)
        return Done(version=version, created=created, claimed=tuple(claimed), completed=tuple(completed))

    def _check(self, step: Step) -> None:
        for append in (*([step.append] if step.append else []), *(create.append for create in step.create)):
            check_append(append, self._store.capabilities)
        told = [envelope for create in step.create for envelope in (create.then, create.otherwise)]
        self._queue.check([*told, *step.send])
        if step.claim is not None:
            self._queue.check_claim(step.claim)
