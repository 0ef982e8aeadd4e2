"""What a `memory:` hub knows of its instances. Nothing here waits, so each call happens as a whole.

nothing ──create──▶ History ──append──▶ History ──purge──▶ Tombstone ──create──▶ History …
                       └──create (another incarnation takes the place of a closed one)──▶
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from perdure.memory._waiting import Waiting
from perdure.spi import (
    Append,
    Committed,
    Conflict,
    Head,
    Key,
    Missing,
    Misuse,
    NotModified,
    Purged,
    Query,
    Record,
    StoreCapabilities,
    Summary,
    Token,
    Tombstone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perdure.spi import Clock

__all__ = ["Histories", "check_append"]

by_version = attrgetter("version")


@dataclass(slots=True)
class _History:
    """The records of one incarnation; there is at least one."""

    incarnation: str
    summary: Summary
    records: list[Record] = field(default_factory=list[Record])

    @property
    def version(self) -> int:
        return self.records[-1].version

    @property
    def created_version(self) -> int:
        return self.records[0].version

    @property
    def token(self) -> Token:
        return Token(f"{self.version}-{self.records[-1].turn_id}")

    def after(self, version: int) -> list[Record]:
        return self.records[bisect_right(self.records, version, key=by_version) :]


@dataclass(frozen=True, slots=True)
class _Tombstone:
    """What is left of a purged history."""

    version: int
    incarnation: str
    created_version: int
    purged_version: int


def check_append(append: Append, capabilities: StoreCapabilities) -> None:
    """Refuse an append that could never be right, before anything is done.

    Raises:
        Misuse: The message names the value and the limit.
    """
    size = len(append.record)
    if size > capabilities.record_bytes_max:
        raise Misuse(
            f"{append.key!r}: a record has at most record_bytes_max={capabilities.record_bytes_max} bytes, "
            f"this one has {size}: put what is large out of line."
        )
    if append.version <= append.expected:
        raise Misuse(f"{append.key!r}: version {append.version} is not above the expected version {append.expected}.")
    if append.summary.key != append.key:
        raise Misuse(f"{append.key!r}: the summary is of another instance, {append.summary.key!r}.")
    if not append.create and append.expected == 0:
        raise Misuse(f"{append.key!r}: only a create can expect that there is nothing; set create=True or read first.")


class Histories:
    """Every history and payload of one hub."""

    def __init__(self, clock: Clock) -> None:
        self.changes = Waiting()
        self.ends = Waiting()
        self.payloads: dict[Key, dict[str, bytes]] = {}
        self._clock = clock
        self._states: dict[Key, _History | _Tombstone] = {}

    def token_of(self, key: Key) -> Token | None:
        """Tell the token of a live history; None if there is no live one."""
        state = self._states.get(key)
        return state.token if isinstance(state, _History) else None

    def is_open(self, key: Key) -> bool:
        """Tell whether there is an instance that has not ended."""
        state = self._states.get(key)
        return isinstance(state, _History) and not state.summary.is_closed

    def read(self, key: Key, after: int, known: Token | None) -> Head | Tombstone | Missing | NotModified:
        """Read one history, as `HistoryStore.read`."""
        state = self._states.get(key)
        if state is None:
            return Missing()
        if isinstance(state, _Tombstone):
            return Tombstone(version=state.version, incarnation=state.incarnation)
        if known == state.token:
            return NotModified()
        return Head(
            key=key,
            version=state.version,
            token=state.token,
            records=tuple(state.after(after)),
            summary=_copied(state.summary),
            server_time=self._clock.now(),
        )

    def append(self, append: Append) -> Committed | Conflict:
        """Add a checked record, as `HistoryStore.append`."""
        state = self._states.get(append.key)
        if (earlier := _found_again(state, append)) is not None:
            return Committed(version=earlier)
        version = 0 if state is None else state.version
        if append.expected != version:
            return Conflict(version=version)
        record = Record(version=append.version, turn_id=append.turn_id, data=bytes(append.record))
        if append.create:
            self._states[append.key] = _History(append.summary.incarnation, _copied(append.summary), [record])
        elif isinstance(state, _History):
            state.records.append(record)
            state.summary = _copied(append.summary)
        else:
            return Conflict(version=version)  # Purged: only a create may follow (H6).
        self.changes.wake(append.key)
        if append.summary.is_closed:
            self.ends.wake(append.key)
        return Committed(version=append.version)

    def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        """Put a tombstone in place of a history, as `HistoryStore.purge`."""
        state = self._states.get(key)
        if state is None:
            return Missing()
        if isinstance(state, _Tombstone):
            again = expected == state.purged_version
            return Purged(version=state.version) if again else Conflict(version=state.version)
        if state.version != expected:
            return Conflict(version=state.version)
        self._states[key] = _Tombstone(expected + 1, state.incarnation, state.created_version, expected)
        self.payloads.pop(key, None)
        self.changes.wake(key)
        self.ends.wake(key)
        return Purged(version=expected + 1)

    def scan(self, query: Query) -> Iterator[Summary]:
        """Yield matching summaries by key. What changes meanwhile is seen as it is when its turn comes."""
        found = 0
        for key in sorted(self._states):
            state = self._states[key]
            if isinstance(state, _History) and query.matches(state.summary):
                yield _copied(state.summary)
                found += 1
                if found == query.limit:
                    return


def _found_again(state: _History | _Tombstone | None, append: Append) -> int | None:
    """Find the version of a record that an earlier attempt has appended already (H4)."""
    if state is None:
        return None
    if append.create:
        return state.created_version if state.incarnation == append.summary.incarnation else None
    later = state.after(append.expected) if isinstance(state, _History) else []
    return later[0].version if later and later[0].turn_id == append.turn_id else None


def _copied(summary: Summary) -> Summary:
    """Part with the caller's `tags`, which it may change afterwards."""
    return msgspec.structs.replace(summary, tags=dict(summary.tags))
