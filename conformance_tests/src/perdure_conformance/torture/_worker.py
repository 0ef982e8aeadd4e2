"""A worker process: works until its stdin ends.

What it tells the board is told by wrappers that are put around production code here, and nowhere else.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import perdure
from perdure.spi import Committed, Committer, Conflict, Misuse, OutboxCommitter
from perdure.worker._carry_out import CarryOut
from perdure_conformance.torture import _load
from perdure_conformance.torture._board import Board, Phase
from perdure_conformance.torture._mutants import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perdure.hub import OpenHub
    from perdure.spi import Append, Done, Envelope, SendOutcome, Step
    from perdure_conformance.torture._board import Row


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants of a worker process.

    Attributes:
        settings: Of the hub, and of the worker.
        board: Path of the board.
        row: Number of the row that this process writes.
        ledger: Path of the file that activities write to.
        is_atomic: Whether Steps are carried out as a whole, or one part after the other.
        probe: `Addresses.probe`.
        mutant: Name of a defect that the worker has; empty for none.
    """

    settings: perdure.Settings
    board: str
    row: int
    ledger: str
    is_atomic: bool
    probe: str = ""
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
    run = CarryOut._run  # noqa: SLF001 - a worker has no other place to be watched at

    async def watched(self: CarryOut, *args: Any, **options: Any) -> None:
        with row.during(Phase.TURN):
            row.pass_by(Phase.TURN)
            await run(self, *args, **options)

    CarryOut._run = watched  # type: ignore[method-assign] # noqa: SLF001


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


def carry_out_steps(hub: OpenHub, *, is_atomic: bool) -> None:
    """Have Steps carried out as the harness of the test does: one part after the other, where it does not as a whole.

    Raises:
        Misuse: The harness carries them out as a whole, and `connect` does not.
    """
    if is_atomic and not hub.committer.capabilities.atomic:
        raise Misuse(
            f"The harness has an atomic committer, perdure.connect has none for {hub.name}: "
            "offer it in the provider's hook perdure_committer."
        )
    if not is_atomic and hub.committer.capabilities.atomic:
        hub.committer = OutboxCommitter(hub.store, hub.queue, hub.clock)


def watch(hub: OpenHub, orders: Orders, row: Row) -> None:
    """Put the wrappers in place."""
    watch_turns(row)
    carry_out_steps(hub, is_atomic=orders.is_atomic)
    if not orders.is_atomic:
        watch_outbox(hub, row)
    if orders.probe:
        module, _, function = orders.probe.partition(":")
        getattr(importlib.import_module(module), function)(row)
    committer = MUTANTS[orders.mutant](hub, row) if orders.mutant else hub.committer
    hub.committer = WatchedCommitter(committer, row)


async def work(orders: Orders) -> None:
    """Work until stdin ends."""
    row = Board(Path(orders.board)).row(orders.row)
    _load.ledger = _load.Ledger(Path(orders.ledger), row)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    async with perdure.connect(settings=orders.settings) as hub:
        watch(hub._hub, orders, row)  # noqa: SLF001 - below what applications see
        async with hub.worker(*_load.DEFINITIONS):
            row.note_ready()
            await ended.wait()
