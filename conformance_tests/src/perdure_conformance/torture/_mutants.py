"""Workers that are wrong on purpose, so that torture and oracles can be seen to fail.

Not here: a SQLite that does not sync (`synchronous=OFF`). A killed process takes nothing along that it has written, so
no kill shows it; only a machine that loses power does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.engine import InstanceState
from perdure.spi import Committer, Step
from perdure_conformance.torture._board import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.hub import OpenHub
    from perdure.records import TurnRecord
    from perdure.spi import Conflict, Done
    from perdure_conformance.torture._board import Row


class CompletesFirst(Committer):
    """Completes the inputs of a turn before it appends the record: breaks C2. A trap for COMMITTED holds it between."""

    def __init__(self, hub: OpenHub, row: Row) -> None:
        self.capabilities = hub.committer.capabilities
        self._committer = hub.committer
        self._row = row

    async def commit(self, step: Step) -> Done | Conflict:
        """Commit in the wrong order."""
        if step.append is not None and step.complete:
            await self._committer.commit(Step(complete=step.complete))
            self._row.pass_by(Phase.COMMITTED)
            step = msgspec.structs.replace(step, complete=())
        return await self._committer.commit(step)


class LosesTasks(Committer):
    """Appends the record of a turn and sends only the first of its messages: breaks L1."""

    def __init__(self, hub: OpenHub, _: Row) -> None:
        self.capabilities = hub.committer.capabilities
        self._committer = hub.committer

    async def commit(self, step: Step) -> Done | Conflict:
        """Commit, but for what is forgotten."""
        return await self._committer.commit(msgspec.structs.replace(step, send=step.send[:1]))


def forgets_events(hub: OpenHub, _: Row) -> Committer:
    """Forget which events were taken in, so that one is taken in again: breaks S4."""
    apply = InstanceState.apply

    def forgetful(self: InstanceState, record: TurnRecord) -> None:
        apply(self, record)
        self.raised.clear()

    InstanceState.apply = forgetful  # type: ignore[method-assign]
    return hub.committer


MUTANTS: dict[str, Callable[[OpenHub, Row], Committer]] = {
    "completes_first": CompletesFirst,
    "loses_tasks": LosesTasks,
    "forgets_events": forgets_events,
}
