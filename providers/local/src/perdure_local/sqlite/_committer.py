"""SqliteCommitter: a Step as one part of one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Committed, Committer, CommitterCapabilities, Conflict, Done, Step
from perdure_local.sqlite._limits import check_append, check_envelopes, check_lease

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.spi import Append, Delivery, Environment
    from perdure_local.sqlite._group import Transaction
    from perdure_local.sqlite._queue import SqliteQueue
    from perdure_local.sqlite._store import SqliteStore

__all__ = ["SqliteCommitter"]


class SqliteCommitter(Committer):
    """Commits Steps to a store and a queue that share a database; those that wait together share a transaction.

    Args:
        store: Open.
        queue: Open on the same database.
        environment: The hub's.
    """

    capabilities = CommitterCapabilities(atomic=True, claims=True)

    def __init__(self, store: SqliteStore, queue: SqliteQueue, environment: Environment) -> None:
        assert store.shares_database_with(queue)
        self._access = queue.access
        self._clock = environment.clock

    async def commit(self, step: Step) -> Done | Conflict:
        appends = [create.append for create in step.create]
        if step.append is not None:
            appends.append(step.append)
        self._check(step, appends)
        nonce = self._access.nonce() if step.claim is not None else 0
        return await self._access.database.changes.run(
            lambda transaction: self._carry_out(transaction, step, nonce),
            keys=[append.key for append in appends],
            deliveries=step.complete,
            size=sum(len(append.record) for append in appends) + sum(len(message.body) for message in step.send),
            undo=self._give_back if step.claim is not None else None,
        )

    def _carry_out(self, transaction: Transaction, step: Step, nonce: int) -> Done | Conflict:
        """Decide top to bottom; all of it becomes durable at once, or nothing (C3)."""
        histories, messages, at = transaction.histories, transaction.messages, self._access.moment()
        version = 0
        if step.append is not None:
            outcome = histories.append(step.append, held=bool(step.complete or step.claim))
            if isinstance(outcome, Conflict):
                return outcome
            version = outcome.version
        # A Step that is committed again after an uncertain end finds its record and sends once more: harmless, and
        # safer than to conclude that whatever wrote the record has also sent (C5).
        created = tuple(isinstance(histories.append(create.append), Committed) for create in step.create)
        if step.create:
            messages.send([c.then if mine else c.otherwise for c, mine in zip(step.create, created, strict=True)], at)
        claimed = messages.send(step.send, at, step.claim, nonce) if step.send else ()
        completed = messages.complete(step.complete, at) if step.complete else ()
        return Done(version, created, tuple(claimed), tuple(completed))

    def _give_back(self, outcome: Done | Conflict) -> Callable[[Transaction], object]:
        claimed: tuple[Delivery, ...] = outcome.claimed if isinstance(outcome, Done) else ()
        return lambda transaction: transaction.messages.abandon(claimed, self._access.moment(), 0)

    def _check(self, step: Step, appends: list[Append]) -> None:
        now = self._clock.now()
        for append in appends:
            check_append(append)
        for create in step.create:
            check_envelopes((create.then, create.otherwise), now)
        check_envelopes(step.send, now)
        if step.claim is not None:
            for message in step.send:
                check_lease(message.queue, step.claim.lease_seconds)
