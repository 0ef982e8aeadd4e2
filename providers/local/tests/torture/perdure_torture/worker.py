"""A worker process: works until its stdin ends.

What it tells the board is told by wrappers that are put around production code here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import perdure
from perdure.spi import Committed, Committer, Conflict, OutboxCommitter
from perdure.worker._carry_out import CarryOut
from perdure_torture import load, mutants
from perdure_torture.board import Board, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perdure.hub import OpenHub
    from perdure.spi import Append, Done, Envelope, SendOutcome, Step
    from perdure_torture.board import Row


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants of a worker process."""

    settings: perdure.Settings
    board: str
    row: int
    ledger: str
    is_outbox: bool = False
    mutant: str = ""


class WatchedCommitter(Committer):
    """Tells the board when a turn is being committed."""

    def __init__(self, committer: Committer, row: Row) -> None:
        self.capabilities = committer.capabilities
        self._committer = committer
        self._row = row

    async def commit(self, step: Step) -> Done | Conflict:
        """Commit, visibly."""
        if step.append is None:
            return await self._committer.commit(step)
        with self._row.during(Phase.COMMIT):
            self._row.pass_by(Phase.COMMIT)
            done = await self._committer.commit(step)
            self._row.enter(Phase.COMMITTED)  # before COMMIT is left: a kill between must not pass for an earlier one
        self._row.pass_by(Phase.COMMITTED)
        self._row.leave(Phase.COMMITTED)
        if not isinstance(done, Conflict):
            self._row.note_commit()
        return done


def watch_turns(row: Row) -> None:
    """Tell the board while a turn is run and not committed."""
    run = CarryOut._run

    async def watched(self: CarryOut, *args: Any, **options: Any) -> None:
        with row.during(Phase.TURN):
            row.pass_by(Phase.TURN)
            await run(self, *args, **options)

    CarryOut._run = watched  # type: ignore[method-assign]


def watch_sqlite(row: Row) -> None:
    """Tell the board while a write transaction is open; its lock is held then."""
    from perdure_local.sqlite._group import GroupCommit, Transaction

    transact, write = GroupCommit._transact, Transaction.write

    def watched_transact(self: GroupCommit, changes: Any) -> list[Any]:
        with row.during(Phase.TRANSACTION):
            return transact(self, changes)

    def watched_write(self: Transaction) -> int:
        rows = write(self)
        if row.count(Phase.COMMIT):  # not where messages are only received
            row.pass_by(Phase.TRANSACTION)
        return rows

    GroupCommit._transact = watched_transact  # type: ignore[method-assign]
    Transaction.write = watched_write  # type: ignore[method-assign]


def watch_outbox(hub: OpenHub, row: Row) -> None:
    """Tell the board how far a Step has come that is carried out one part after the other."""
    original, send = hub.store.append, hub.queue.send

    async def watched_append(append: Append) -> Committed | Conflict:
        outcome = await original(append)
        if row.count(Phase.COMMIT) and isinstance(outcome, Committed):
            row.pass_by(Phase.APPENDED)
        return outcome

    async def watched_send(messages: Sequence[Envelope]) -> list[SendOutcome]:
        if row.count(Phase.COMMIT):
            row.pass_by(Phase.SENDING)
        outcomes = await send(messages)
        if row.count(Phase.COMMIT):
            row.pass_by(Phase.SENT)
        return outcomes

    hub.store.append = watched_append  # type: ignore[method-assign]
    hub.queue.send = watched_send  # type: ignore[method-assign]


PROBES: dict[str, Callable[[Row], None]] = {"sqlite": watch_sqlite}
"""By scheme of the store: what shows when its write lock is held."""


def use_outbox(hub: OpenHub) -> None:
    """Have Steps carried out one part after the other, although this hub could do them as a whole."""
    hub.committer = OutboxCommitter(hub.store, hub.queue, hub.clock)


def watch(hub: OpenHub, orders: Orders, row: Row) -> None:
    """Put the wrappers in place."""
    watch_turns(row)
    if orders.is_outbox:
        use_outbox(hub)
    if not hub.committer.capabilities.atomic:
        watch_outbox(hub, row)
    probe = PROBES.get(orders.settings.store_url.partition(":")[0])
    if probe is not None:
        probe(row)
    committer = mutants.MUTANTS[orders.mutant](hub, row) if orders.mutant else hub.committer
    hub.committer = WatchedCommitter(committer, row)


async def work(orders: Orders) -> None:
    """Work until stdin ends."""
    row = Board(Path(orders.board)).row(orders.row)
    load.ledger = load.Ledger(Path(orders.ledger), row)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with perdure.connect(settings=orders.settings) as hub:
        watch(hub._hub, orders, row)
        async with hub.worker(*load.DEFINITIONS):
            row.note_ready()
            await ended.wait()
