"""Whether some order of concurrent calls explains every answer: Wing and Gong's search, with Lowe's memory. Pure.

A call takes effect at one moment between its begin and its end. One whose answer nobody heard has no end: it may take
effect at any later moment, or never. What was tried once (these calls done, this history reached) is not tried again.

J. M. Wing, C. Gong, "Testing and Verifying Concurrent Objects", 1993; G. Lowe, "Testing for linearizability", 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure.spi import Append, Committed, Conflict, Head, Purged, Tombstone
from perdure_conformance.model import Broken
from perdure_conformance.model._histories import Purge, Read, State, after, foreseen, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Operation", "explanation_of", "shortest_unexplained"]


@dataclass(eq=False, slots=True)
class Operation:
    """One call to one history, and what was heard of it.

    Attributes:
        client: Who called.
        call: What was asked.
        began: When, in events counted over all clients.
        ended: The same; infinity while no answer was heard.
        answer: What was heard.
    """

    client: int
    call: Append | Purge | Read
    began: int
    ended: float = math.inf
    answer: object = None

    def __str__(self) -> str:
        asked = self.call
        if isinstance(asked, Append):
            told = f"{'create' if asked.create else 'append'} {asked.turn_id} {asked.expected}→{asked.version}"
        else:
            told = "read" if isinstance(asked, Read) else f"purge {asked.expected}"
        answer = "no answer" if self.ended == math.inf else _told(self.answer)
        return f"client {self.client}  {self.began:>4} to {self.ended:<4}  {told:<40}  {answer}"


@dataclass(slots=True)
class _Search:
    operations: Sequence[Operation]
    guesses: frozenset[int]
    tried: set[tuple[int, object]] = field(default_factory=set[tuple[int, object]])

    def moves(self, done: int, state: State) -> Iterator[tuple[int, State]]:
        """Yield which call may take effect next, and what the history is then."""
        left = [index for index in range(len(self.operations)) if not done >> index & 1]
        first_end = min((self.operations[index].ended for index in left), default=math.inf)
        for index in left:
            operation = self.operations[index]
            if operation.began < first_end:
                for then in self._outcomes(state, operation):
                    if (mark := (done | 1 << index, mark_of(then))) not in self.tried:
                        self.tried.add(mark)
                        yield index, then

    def is_explained(self, done: int) -> bool:
        """Tell whether every call that was answered has taken effect."""
        return all(done >> index & 1 or o.ended == math.inf for index, o in enumerate(self.operations))

    def _outcomes(self, state: State, operation: Operation) -> Iterator[State]:
        if operation.ended != math.inf:
            answers = [operation.answer]
        else:
            promised = foreseen(state, operation.call)
            chosen = isinstance(promised, Purged) and promised.version == 0
            answers = [Purged(guess) for guess in self.guesses] if chosen else [promised]
        for answer in answers:
            try:
                then = after(state, operation.call, answer)
            except Broken:
                continue  # Not at this moment, then.
            if operation.ended != math.inf or then is not state:
                yield then


def explanation_of(operations: Sequence[Operation]) -> list[Operation] | None:
    """Find an order of concurrent calls to one history, nothing at first, in which each answer is the promised one.

    Args:
        operations: In any order. Reads without an answer are passed over: they change nothing.

    Returns:
        The calls in the order in which they took effect, those without effect left out; None if there is no such order.
    """
    asked = [o for o in operations if o.ended != math.inf or not isinstance(o.call, Read)]
    search = _Search(asked, _versions_in(asked))
    path: list[tuple[int, int, Iterator[tuple[int, State]]]] = [(-1, 0, search.moves(0, None))]
    while path:
        _, done, moves = path[-1]
        if search.is_explained(done):
            return [asked[index] for index, _, _ in path[1:]]
        move = next(moves, None)
        if move is None:
            path.pop()
        else:
            index, state = move
            path.append((index, done | 1 << index, search.moves(done | 1 << index, state)))
    return None


def shortest_unexplained(operations: Sequence[Operation]) -> list[Operation]:
    """Cut calls that have no explanation at the first answer without which they have one.

    Args:
        operations: Calls that have no explanation.

    Returns:
        Those that had begun by then; answers that came later are open.
    """
    for end in sorted(o.ended for o in operations if o.ended != math.inf):
        begun = [o for o in operations if o.began <= end]
        cut = [o if o.ended <= end else Operation(o.client, o.call, o.began) for o in begun]
        if explanation_of(cut) is None:
            return cut
    return list(operations)


def _versions_in(operations: Sequence[Operation]) -> frozenset[int]:
    """Collect which versions a tombstone that nobody was told of may have: one that was seen, or the next one."""
    answers = [o.answer for o in operations]
    seen = {a.version for a in answers if isinstance(a, Committed | Conflict | Purged | Tombstone | Head)}
    return frozenset(seen | {o.call.expected + 1 for o in operations if isinstance(o.call, Purge)})


def _told(answer: object) -> str:
    if isinstance(answer, Head):
        return f"history {' '.join(f'{record.version}:{record.turn_id}' for record in answer.records)}"
    return str(answer)
