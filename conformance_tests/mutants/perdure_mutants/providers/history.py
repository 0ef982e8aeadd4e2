"""Histories that lose, fork, reorder, mix up or make up: H1 to H8 and H10."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["HISTORY_MUTANTS"]

APPEND: Final = "perdure.memory._histories:Histories.append"
PURGE: Final = "perdure.memory._histories:Histories.purge"
READ: Final = "perdure.memory._histories:Histories.read"
SCAN: Final = "perdure.memory._histories:Histories.scan"
CHECK: Final = "perdure.memory._histories:check_append"
FOUND_AGAIN: Final = "perdure.memory._histories:_found_again"
STORE_APPEND: Final = "perdure.memory._store:MemoryStore.append"
STORE_READ: Final = "perdure.memory._store:MemoryStore.read"
CHANGED: Final = "perdure.memory._store:MemoryStore.changed"

IN_KEYS: Final = "state = self._states.get(append.key)"
"""Where a key is looked up by an append."""

HISTORY_MUTANTS: Final = (
    Mutant(
        "an append is acknowledged before it is durable",
        "H1",
        "a crash of the writer loses a turn whose messages are out",
        (
            Edit(
                STORE_APPEND,
                "return self.histories.append(append)",
                'kept, self.__dict__["kept"] = self.__dict__.get("kept"), append\n'
                "    if kept is not None:\n"
                "        self.histories.append(kept)\n"
                "    return Committed(version=append.version)",
            ),
        ),
    ),
    Mutant(
        "a record dies with the client that wrote it",
        "H1",
        "a hub that is empty after a restart",
        (
            Edit(
                "perdure.memory._store:MemoryStore.aclose",
                "self._connection.close()",
                "self._connection._hub and self.histories._states.clear()\n    self._connection.close()",
            ),
        ),
    ),
    Mutant(
        "the first client to leave takes the hub along",
        "H1",
        "whoever comes later finds nothing, while others still write",
        (Edit("perdure.memory._hub:Connection.close", "if not named.connections:", "if named.connections:"),),
        by="test_h1_a_committed_record_outlives",
    ),
    Mutant(
        "the compare-and-append ignores a stale version",
        "H2",
        "two workers both win a turn: the history forks",
        (Edit(APPEND, "append.expected != version", "append.expected > version"),),
    ),
    Mutant(
        "the compare-and-append ignores a version from the future",
        "H2",
        "a writer that believes in another history wins",
        (Edit(APPEND, "append.expected != version", "append.expected < version"),),
    ),
    Mutant(
        "a conflict still replaces the summary",
        "H2",
        "queries show a turn that never was",
        (
            Edit(
                APPEND,
                "        return Conflict(version=version)\n    record =",
                "        state and setattr(state, 'summary', append.summary)\n"
                "        return Conflict(version=version)\n    record =",
            ),
        ),
    ),
    Mutant(
        "a record may repeat the version it follows",
        "H2",
        "a version stands for two records",
        (Edit(CHECK, "append.version <= append.expected", "append.version < append.expected"),),
    ),
    Mutant(
        "a version is used again after a purge",
        "H2",
        "a late write of the purged incarnation lands in the new one",
        (
            Edit(
                APPEND,
                "version = 0 if state is None else state.version",
                "version = 0 if state is None or isinstance(state, _Tombstone) else state.version",
            ),
        ),
    ),
    Mutant(
        "an append becomes visible later",
        "H3",
        "a worker decides by a history that is over",
        (
            Edit(
                STORE_READ,
                "return self.histories.read(key, after, known)",
                'seen = self.__dict__.setdefault("seen", {})\n'
                "    last, seen[key, after] = seen.get((key, after)), self.histories.read(key, after, known)\n"
                "    return seen[key, after] if last is None else last",
            ),
        ),
    ),
    Mutant(
        "a known token hides every change",
        "H3",
        "a cache is never refreshed",
        (Edit(READ, "if known == state.token:", "if known is not None:"),),
    ),
    Mutant(
        "the token is only the count of records",
        "H3",
        "a new incarnation looks like the old one",
        (
            Edit(
                "perdure.memory._histories:_History.token",
                'f"{self.version}-{self.records[-1].turn_id}"',
                "str(len(self.records))",
            ),
        ),
    ),
    Mutant(
        "an append wakes nobody who waits for a change",
        "H3",
        "results are late by the whole poll",
        (Edit(APPEND, "self.changes.wake(append.key)", "pass"),),
    ),
    Mutant(
        "a change before the wait is missed",
        "H3",
        "a result that was there already is waited for",
        (Edit(CHANGED, "if self.histories.token_of(key) != known:\n            return True", "pass"),),
    ),
    Mutant(
        "an own append whose answer was lost is taken for another's",
        "H4",
        "the worker throws away the turn that it did",
        (
            Edit(
                FOUND_AGAIN,
                "return later[0].version if later and later[0].turn_id == append.turn_id else None",
                "return None",
            ),
        ),
    ),
    Mutant(
        "an own append is recognised by its bytes alone",
        "H4",
        "another's equal record is taken for mine, and its messages are sent twice",
        (Edit(FOUND_AGAIN, "later[0].turn_id == append.turn_id", "later[0].data == append.record"),),
    ),
    Mutant(
        "an own append is looked for only at the end",
        "H4",
        "a turn that others have built on is thrown away",
        (
            Edit(
                FOUND_AGAIN,
                "later[0].version if later and later[0].turn_id",
                "later[-1].version if later and later[-1].turn_id",
            ),
        ),
    ),
    Mutant(
        "a repeated create runs a second time",
        "H4",
        "one start begins two instances",
        (
            Edit(
                FOUND_AGAIN,
                "if state is None:",
                "if state is None or isinstance(state, _Tombstone):",
            ),
        ),
    ),
    Mutant(
        "a torn record is returned",
        "H5",
        "a replay by half of what happened",
        (Edit(APPEND, "data=bytes(append.record)", "data=bytes(append.record)[:-1]"),),
    ),
    Mutant(
        "a read leaves out what does not fit a page",
        "H5",
        "a long history loses its end",
        (Edit(READ, "tuple(state.after(after))", "tuple(state.after(after)[:100])"),),
    ),
    Mutant(
        "a read after a version begins one too early",
        "H5",
        "a record is applied twice",
        (
            Edit(
                "perdure.memory._histories:_History.after",
                "bisect_right(self.records, version, key=by_version)",
                "max(0, bisect_right(self.records, version, key=by_version) - 1)",
            ),
        ),
    ),
    Mutant(
        "records of the replaced incarnation stay",
        "H5",
        "the new instance replays the life of the old one",
        (
            Edit(
                APPEND,
                "_copied(append.summary), [record])",
                "_copied(append.summary), [*getattr(state, 'records', ()), record])",
            ),
        ),
    ),
    Mutant(
        "a purge forgets its tombstone",
        "H6",
        "a late append brings a purged instance back to life",
        (
            Edit(
                PURGE,
                "self._states[key] = _Tombstone(expected + 1, state.incarnation, state.created_version, expected)",
                "del self._states[key]",
            ),
        ),
    ),
    Mutant(
        "a tombstone does not know the incarnation",
        "H6",
        "nobody can tell whose end it was",
        (Edit(PURGE, "_Tombstone(expected + 1, state.incarnation,", '_Tombstone(expected + 1, "",'),),
    ),
    Mutant(
        "an append follows a tombstone",
        "H6",
        "a late turn revives what was purged",
        (
            Edit(
                APPEND,
                "        return Conflict(version=version)  # Purged: only a create may follow (H6).",
                "        self._states[append.key] = _History(state.incarnation, _copied(append.summary), [record])",
            ),
        ),
    ),
    Mutant(
        "a purge takes whatever version is there",
        "H6",
        "a purge deletes an instance that has gone on, or its successor",
        (
            Edit(
                PURGE,
                "if state.version != expected:\n        return Conflict(version=state.version)",
                "expected = state.version",
            ),
        ),
    ),
    Mutant(
        "a purge leaves the payloads",
        "H6",
        "what was to be deleted is still there",
        (Edit(PURGE, "self.payloads.pop(key, None)", "pass"),),
    ),
    Mutant(
        "keys are case-folded",
        "H7",
        "`Order` and `order` share a history",
        (
            Edit(
                APPEND,
                IN_KEYS,
                "append = msgspec.structs.replace(append, key=Key(append.key.casefold()))\n    " + IN_KEYS,
            ),
            Edit(READ, "state = self._states.get(key)", "state = self._states.get(Key(key.casefold()))"),
        ),
    ),
    Mutant(
        "keys are normalised",
        "H7",
        "two spellings of é share a history",
        (
            Edit(
                APPEND,
                IN_KEYS,
                "key = Key(__import__('unicodedata').normalize('NFC', append.key))\n"
                "    append = msgspec.structs.replace(append, key=key)\n    " + IN_KEYS,
            ),
        ),
    ),
    Mutant(
        "a purge takes along the keys that begin with its own",
        "H7",
        "purging `a` deletes `a/b`",
        (
            Edit(
                PURGE,
                "self.payloads.pop(key, None)",
                "for other in [each for each in self._states if each.startswith(key) and each != key]:\n"
                "        del self._states[other]",
            ),
        ),
    ),
    Mutant(
        "a list skips one at the page border",
        "H8",
        "the sweeper never finds some instances",
        (
            Edit(
                SCAN,
                "for key in sorted(self._states):",
                "for key in [k for i, k in enumerate(sorted(self._states), 1) if i % 100]:",
            ),
        ),
    ),
    Mutant(
        "a list ends with its first page",
        "H8",
        "the sweeper finds only the first five hundred",
        (Edit(SCAN, "sorted(self._states)", "sorted(self._states)[:500]"),),
    ),
    Mutant(
        "a list comes in the order of creation",
        "H8",
        "pages cannot be continued",
        (Edit(SCAN, "sorted(self._states)", "list(self._states)"),),
    ),
    Mutant(
        "a list shows the summary of the creation",
        "H8",
        "a query by status finds what is long over",
        (Edit(APPEND, "state.summary = _copied(append.summary)", "pass"),),
    ),
    Mutant(
        "a limit counts what does not match",
        "H8",
        "a query ends before it has found what there is",
        (
            Edit(
                SCAN,
                "            found += 1\n            if found == query.limit:\n                return",
                "        found += 1\n        if found == query.limit:\n            return",
            ),
        ),
    ),
    Mutant(
        "the summary of another instance is stored with a record",
        "H7",
        "an instance is listed that nobody created",
        (Edit(CHECK, "append.summary.key != append.key", "False"),),
        by="test_h7_the_summary_of_another",
    ),
    Mutant(
        "a record at its limit is refused",
        "H10",
        "what the provider declares is not true",
        (Edit(CHECK, "size > capabilities.record_bytes_max", "size >= capabilities.record_bytes_max"),),
    ),
    Mutant(
        "a record past its limit is met only after it was written",
        "H10",
        "a refused turn is in the history all the same",
        (
            Edit(
                STORE_APPEND,
                "    check_append(append, self.capabilities)\n    return self.histories.append(append)",
                "    done = self.histories.append(append)\n"
                "    check_append(append, self.capabilities)\n    return done",
            ),
        ),
    ),
    Mutant(
        "a refusal does not name the limit",
        "H10",
        "nobody knows what to change",
        (Edit(CHECK, "record_bytes_max={capabilities.record_bytes_max} bytes", "so many bytes"),),
    ),
)
