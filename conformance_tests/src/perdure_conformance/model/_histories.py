"""One history, as H1 to H6 promise it: which answers a call may get, and what the history is then. Pure.

    None ──create──▶ Live ──append──▶ Live ──purge──▶ Grave ──create──▶ Live …

What a store may choose for itself is taken from its answer: the version of a tombstone, and whether it still knows a
write of an earlier incarnation when that is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

from perdure.spi import Append, Committed, Conflict, Head, Missing, Purged, Record, Summary, Tombstone

__all__ = ["Broken", "Grave", "Live", "Purge", "Read", "State", "after", "foreseen", "mark_of", "version_of"]


class Broken(AssertionError):
    """A backend has not kept a promise; the message says which, and what was promised."""


Write = tuple[str, int]
"""What a write is recognised by (the incarnation of a create, the turn id of another), and its version."""


@dataclass(frozen=True, slots=True)
class Live:
    """The records of the current incarnation, at least one, and the writes of earlier ones."""

    records: tuple[Record, ...]
    summary: Summary
    past: frozenset[Write] = frozenset()


@dataclass(frozen=True, slots=True)
class Grave:
    """A tombstone, which version it replaced, the first version of the incarnation, and all writes before."""

    version: int
    incarnation: str
    purged: int
    first: int
    past: frozenset[Write] = frozenset()


State = Live | Grave | None


@dataclass(frozen=True, slots=True)
class Read:
    """A read of everything."""


@dataclass(frozen=True, slots=True)
class Purge:
    """A purge at a version."""

    expected: int


def version_of(state: State) -> int:
    """Tell the version that the next append has to expect; 0 for nothing."""
    return 0 if state is None else state.version if isinstance(state, Grave) else state.records[-1].version


def mark_of(state: State) -> object:
    """Give what two states have in common only if they are one: hashable, for looking up."""
    if not isinstance(state, Live):
        return state
    return tuple((record.version, record.turn_id) for record in state.records), state.past


def foreseen(state: State, call: Append | Purge | Read) -> object:
    """Tell the answer that is promised; a tombstone's version is 0 where the store may choose it."""
    if isinstance(call, Append):
        return _append_foreseen(state, call)
    if isinstance(call, Purge):
        return _purge_foreseen(state, call)
    if state is None:
        return Missing()
    return Tombstone(state.version, state.incarnation) if isinstance(state, Grave) else (state.records, state.summary)


def after(state: State, call: Append | Purge | Read, answer: object) -> State:
    """Give the history after a call that was answered so.

    Args:
        state: Before the call.
        call: What was asked.
        answer: What the store said; of a read, a `Head` or what else it gives.

    Raises:
        Broken: No such answer is promised.
    """
    promised = foreseen(state, call)
    if isinstance(answer, Head):
        answer = (
            (answer.records, answer.summary) if answer.version == version_of(state) else f"version {answer.version}"
        )
    if isinstance(promised, Purged) and not promised.version and isinstance(answer, Purged) and isinstance(state, Live):
        if answer.version <= version_of(state):
            raise Broken(f"{answer} of version {version_of(state)}: a version was used again (H2)")
        first = state.records[0].version
        return Grave(answer.version, state.summary.incarnation, version_of(state), first, _writes_of(state))
    if answer != promised and not _is_free(state, call, promised, answer):
        raise Broken(f"{call} was answered {answer}; promised is {promised}")
    if (
        isinstance(answer, Committed)
        and isinstance(call, Append)
        and isinstance(promised, Committed)
        and _found_again(state, call) is None
    ):
        record = Record(version=call.version, turn_id=call.turn_id, data=call.record)
        if isinstance(state, Live) and not call.create:
            return Live((*state.records, record), call.summary, state.past)
        return Live((record,), call.summary, _writes_of(state))
    return state


def _append_foreseen(state: State, append: Append) -> Committed | Conflict:
    found = _found_again(state, append)
    if found is not None:
        return Committed(found)
    if append.expected != version_of(state) or (isinstance(state, Grave) and not append.create):
        return Conflict(version_of(state))
    return Committed(append.version)


def _purge_foreseen(state: State, purge: Purge) -> Purged | Conflict | Missing:
    if state is None:
        return Missing()
    if isinstance(state, Grave) and purge.expected == state.purged:
        return Purged(state.version)
    mine = isinstance(state, Live) and purge.expected == version_of(state)
    return Purged(0) if mine else Conflict(version_of(state))


def _found_again(state: State, append: Append) -> int | None:
    """Find the version of the record, or of the incarnation, that an earlier attempt has written (H4)."""
    if append.create and isinstance(state, Live):
        return state.records[0].version if state.summary.incarnation == append.summary.incarnation else None
    if append.create and isinstance(state, Grave):
        return state.first if state.incarnation == append.summary.incarnation else None
    later = [r for r in state.records if r.version > append.expected] if isinstance(state, Live) else []
    return later[0].version if later and later[0].turn_id == append.turn_id else None


def _is_free(state: State, call: Append | Purge | Read, promised: object, answer: object) -> bool:
    """A store may give another answer to a repeated write, as long as it is true and changes nothing.

    A create that finds its own tombstone is told that it is committed, not promised as which version. A write of an
    earlier incarnation is a conflict, or still known; but nothing that is not a create is known on a tombstone (H6).
    """
    if not isinstance(call, Append) or not isinstance(answer, Committed) or state is None:
        return False
    if isinstance(promised, Committed):
        return isinstance(state, Grave) and _found_again(state, call) is not None
    name = call.summary.incarnation if call.create else call.turn_id
    return (call.create or isinstance(state, Live)) and (name, answer.version) in state.past


def _writes_of(state: State) -> frozenset[Write]:
    if not isinstance(state, Live):
        return frozenset() if state is None else state.past
    first, *others = state.records
    turns = {(record.turn_id, record.version) for record in others}
    return state.past | turns | {(state.summary.incarnation, first.version)}
