"""Clients that meet at one history, and what each of them asked and heard."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.spi import Append, Committed, Head, Missing, Purged, Tombstone
from perdure_conformance.linearizability._faults import Faults, UnheardError
from perdure_conformance.linearizability._search import Operation
from perdure_conformance.material import addition, creation
from perdure_conformance.model._histories import Purge, Read

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from perdure.spi import HistoryStore, Key

__all__ = ["record"]

REPEATS_MAX = 3
READS, APPENDS, PURGES = 0.4, 0.4, 0.1
"""Shares of what a client that has seen a history asks; the rest creates."""


async def record(stores: Sequence[HistoryStore], key: Key, call_count: int, chance: random.Random) -> list[Operation]:
    """Let clients meet at one history, and each read it once more in the end.

    Args:
        stores: One per client.
        key: Whose history; nothing is known of it.
        call_count: Calls per client, repetitions not counted.
        chance: What decides everything that can be decided.

    Returns:
        Every call, in the order of their beginnings.
    """
    meeting = _Meeting(key, chance)
    await asyncio.gather(*(meeting.attend(who, store, call_count) for who, store in enumerate(stores)))
    await meeting.faults.settle()
    for who, store in enumerate(stores):
        await meeting.ask(who, store, Read(), carefully=True)
    return meeting.operations


@dataclass(frozen=True, slots=True)
class Sight:
    """A version that a client has seen, and the incarnation; empty for none."""

    version: int
    life: str = ""


class _Meeting:
    def __init__(self, key: Key, chance: random.Random) -> None:
        self.faults = Faults(chance)
        self.operations: list[Operation] = []
        self._key = key
        self._chance = chance
        self._events = itertools.count()
        self._names = itertools.count()

    async def attend(self, who: int, store: HistoryStore, call_count: int) -> None:
        """Do what clients do: look, and act on what was seen; repeat an append until its end is known."""
        seen: Sight | None = Sight(0)
        for _ in range(call_count):
            call = self._choose(who, seen)
            answer = await self.ask(who, store, call)
            repeats = 0
            while answer is None and isinstance(call, Append) and repeats < REPEATS_MAX:
                repeats += 1
                answer = await self.ask(who, store, call)
            seen = _seen_by(seen, call, answer)

    async def ask(
        self, who: int, store: HistoryStore, call: Append | Purge | Read, *, carefully: bool = False
    ) -> object | None:
        """Make a call and note when it began and ended; None if no answer was heard."""
        operation = Operation(who, call, next(self._events))
        self.operations.append(operation)
        try:
            answer = await (
                self._make(store, call) if carefully else self.faults.carry(lambda: self._make(store, call))
            )
        except UnheardError:
            return None
        operation.answer, operation.ended = answer, next(self._events)
        return answer

    async def _make(self, store: HistoryStore, call: Append | Purge | Read) -> object:
        if isinstance(call, Append):
            return await store.append(call)
        return await (store.purge(self._key, call.expected) if isinstance(call, Purge) else store.read(self._key))

    def _choose(self, who: int, seen: Sight | None) -> Append | Purge | Read:
        what = self._chance.random()
        if seen is None or what < READS:
            return Read()
        name = f"{who}-{next(self._names)}"
        if seen.life and what < READS + APPENDS:
            return addition(self._key, seen.version, turn_id=name, record=name.encode(), incarnation=seen.life)
        if seen.life and what < READS + APPENDS + PURGES:
            return Purge(seen.version)
        return creation(self._key, f"life-{name}", turn_id=name, expected=seen.version)


def _seen_by(seen: Sight | None, call: Append | Purge | Read, answer: object) -> Sight | None:
    """Tell what a client has seen after an answer; None: it has to read before it acts again."""
    if isinstance(answer, Head):
        return Sight(answer.version, answer.summary.incarnation)
    if isinstance(answer, Tombstone | Purged):
        return Sight(answer.version)
    if isinstance(answer, Committed) and isinstance(call, Append) and answer.version == call.version:
        return Sight(answer.version, call.summary.incarnation)
    return seen if answer is None else Sight(0) if isinstance(answer, Missing) else None
