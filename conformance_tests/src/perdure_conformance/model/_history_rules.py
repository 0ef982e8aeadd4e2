"""Random calls to a HistoryStore, each compared with the model, and every history after each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from perdure.spi import Append, Head, HistoryStore, Key, NotModified, Query, Token, Unavailable, Unknown
from perdure_conformance.material import addition, creation
from perdure_conformance.model._histories import Broken, Live, Purge, Read, State, after, mark_of, version_of
from perdure_conformance.model._machine import CLIENTS, WHO, Machine, after_each, call

if TYPE_CHECKING:
    from perdure.spi import Committed, Conflict

__all__ = ["KEYS", "HistoryMachine", "append_until_definite"]

KEYS = [Key("a"), Key("a/b"), Key("A")]
KEY = st.sampled_from([KEYS[0], KEYS[0], *KEYS])
AGO = st.sampled_from([0, 0, 0, 0, 1, 2, 99, -1])
"""How many changes ago the caller has looked; 99: before there was anything; -1: it believes in what never was."""

JUMP = st.sampled_from([1, 1, 1, 1000])
STATUS = st.sampled_from(["Running", "Completed"])
QUERIES = st.builds(
    Query,
    statuses=st.sampled_from([(), ("Running",), ("Completed", "Failed")]),
    id_prefix=st.sampled_from(["", "", "a", "a/"]),
    limit=st.integers(0, 3),
)
ATTEMPTS_MAX = 20
NEVER = 10**9
"""A version so far ahead is not reached: what expects it is never right later."""


async def append_until_definite(store: HistoryStore, append: Append) -> Committed | Conflict:
    """Append, again for as long as the store does not know."""
    for _ in range(ATTEMPTS_MAX):
        try:
            return await store.append(append)
        except (Unknown, Unavailable):
            continue
    raise Broken(f"{append} has no definite end after {ATTEMPTS_MAX} attempts (H4)")


class HistoryMachine(Machine):
    """Two stores of one storage."""

    def __init__(self) -> None:
        self.stores: dict[int, HistoryStore] = {}
        self.states: dict[Key, State] = dict.fromkeys(KEYS)
        self.versions: dict[Key, list[int]] = {key: [0] for key in KEYS}
        self.asked: list[Append] = []
        self.tokens: dict[Key, dict[Token, object]] = {key: {} for key in KEYS}
        super().__init__()

    async def open_client(self, who: int) -> None:
        """Open a store."""
        await super().open_client(who)
        self.stores[who] = await self.harness.open_store()

    async def close_client(self, who: int) -> None:
        """Close a store."""
        await super().close_client(who)
        await self.stores[who].aclose()

    # ── what may happen ──────────────────────────────────────────────────────────────────────────────────────────

    @call(who=WHO, key=KEY, ago=st.sampled_from([0, 0, 1, 99, -1]), jump=JUMP)
    async def create(self, who: int, key: Key, ago: int, jump: int) -> None:
        """Begin an incarnation."""
        await self._append(who, self.new_creation(key, ago, jump))

    @call(who=WHO, key=KEY, ago=AGO, jump=JUMP, status=STATUS)
    async def add(self, who: int, key: Key, ago: int, jump: int, status: str) -> None:
        """Add a record; a late write if the caller has looked some changes ago."""
        if (append := self.new_addition(key, ago, jump, status)) is not None:
            await self._append(who, append)

    @call(who=WHO, key=KEY, back=st.sampled_from([0, 0, 1, 2, 3, 5, 8]))
    async def repeat(self, who: int, key: Key, back: int) -> None:
        """Append again what was appended some appends ago: its answer was lost."""
        asked = [append for append in self.asked if append.key == key] or [self.new_creation(key, 0, 1)]
        await self._append(who, asked[max(0, len(asked) - 1 - back)])

    @call(who=WHO, key=KEY, ago=AGO, patience=st.integers(0, 4))
    async def lose_answer(self, who: int, key: Key, ago: int, patience: int) -> None:
        """Append and go away before the answer; another client appends the same until it is definite."""
        append = self.new_addition(key, ago, 1, "Running") or self.new_creation(key, ago, 1)
        unheard = asyncio.create_task(append_until_definite(self.stores[who], append))
        for _ in range(patience):
            await asyncio.sleep(0)
        unheard.cancel()
        await asyncio.wait({unheard})
        await self._append(1 - who, append)

    @call(who=WHO, key=KEY)
    async def start_again_after_the_end(self, who: int, key: Key) -> None:
        """Create and purge; then whoever has not heard of it creates again, and nothing may run a second time."""
        start = self.new_creation(key, 0, 1)
        await self._append(who, start)
        await self._purge(who, key, 0)
        await self._append(1 - who, start)

    @call(who=WHO, key=KEY, ago=st.sampled_from([0, 0, 0, 0, 0, 1, 99]))
    async def purge(self, who: int, key: Key, ago: int) -> None:
        """Purge what the caller has seen."""
        await self._purge(who, key, ago)

    @call(who=WHO, key=KEY, ago=AGO, known=st.booleans(), back=st.integers(0, 2))
    async def read(self, who: int, key: Key, ago: int, *, known: bool, back: int) -> None:
        """Read the end of a history, or whether it is still what it was."""
        past, first = list(self.tokens[key]), self._seen(key, ago)
        token = past[max(0, len(past) - 1 - back)] if known and past else None
        answer = await self.stores[who].read(key, after=first, known=token)
        state = self.states[key]
        unchanged = token is not None and self.tokens[key][token] == mark_of(state) and isinstance(state, Live)
        if unchanged != isinstance(answer, NotModified):
            raise Broken(f"{key!r}: a read with a token that is {unchanged=} was answered {answer} (H3)")
        if isinstance(answer, Head) and isinstance(state, Live):
            rest = tuple(record for record in state.records if record.version > first)
            if answer.records != rest:
                raise Broken(f"{key!r}: a read after version {first} gave {answer.records} instead of {rest} (H5)")

    @call(who=WHO, query=QUERIES)
    async def scan(self, who: int, query: Query) -> None:
        """List what matches."""
        await self.harness.let_time_pass(self.stores[who].capabilities.scan_lag_seconds)
        await self._compare_scan(who, query)

    @call(who=WHO, key=KEY, back=st.integers(-1, 2))
    async def changed(self, who: int, key: Key, back: int) -> None:
        """Ask, without waiting, whether something has changed since some look, or has come to be."""
        past, state = list(self.tokens[key]), self.states[key]
        token = past[max(0, len(past) - 1 - back)] if past and back >= 0 else None
        answer = await self.harness.finish(self.stores[who].changed(key, token, 0))
        now = isinstance(state, Live) if token is None else self.tokens[key][token] != mark_of(state)
        if now and not answer:
            raise Broken(f"{key!r}: a change since {token!r} was not seen (H3)")

    @call(who=WHO, closes=st.booleans())
    async def crash_client(self, who: int, *, closes: bool) -> None:
        """Drop a client."""
        await self.crash(who, closes=closes)

    @after_each
    async def every_history_is_what_the_model_says(self) -> None:
        """Read everything through each client."""
        for who in range(CLIENTS):
            for key in KEYS:
                await self._compare_history(who, key)
            if self.stores[who].capabilities.scan_lag_seconds == 0:
                await self._compare_scan(who, Query())

    # ── what it knows ────────────────────────────────────────────────────────────────────────────────────────────

    def new_creation(self, key: Key, ago: int, jump: int) -> Append:
        """Give the first record of an incarnation that nobody has used yet."""
        expected, name = self._seen(key, ago), f"{len(self.asked)}"
        return self._ask(
            creation(key, f"life-{name}", turn_id=f"create-{name}", expected=expected, becomes=expected + jump)
        )

    def new_addition(self, key: Key, ago: int, jump: int, status: str) -> Append | None:
        """Give a further record; None if the caller has seen no history."""
        expected, state = self._seen(key, ago), self.states[key]
        if expected == 0:
            return None
        name, life = f"turn-{len(self.asked)}", state.summary.incarnation if isinstance(state, Live) else "late"
        becomes, record = expected + jump, name.encode()
        return self._ask(
            addition(key, expected, turn_id=name, record=record, incarnation=life, becomes=becomes, status=status)
        )

    def follow(self, append: Append, answer: Committed | Conflict) -> None:
        """Let the model take in how an append ended.

        Raises:
            Broken: It must not end so.
        """
        self.states[append.key] = after(self.states[append.key], append, answer)
        self._note(append.key)

    async def _append(self, who: int, append: Append) -> None:
        self.follow(append, await append_until_definite(self.stores[who], append))

    async def _purge(self, who: int, key: Key, ago: int) -> None:
        expected = self._seen(key, ago)
        self.states[key] = after(self.states[key], Purge(expected), await self.stores[who].purge(key, expected))
        self._note(key)

    def _ask(self, append: Append) -> Append:
        self.asked.append(append)
        return append

    def _seen(self, key: Key, ago: int) -> int:
        versions = self.versions[key]
        return versions[-1] + NEVER if ago < 0 else versions[max(0, len(versions) - 1 - ago)]

    def _note(self, key: Key) -> None:
        version = version_of(self.states[key])
        if version != self.versions[key][-1]:
            self.versions[key].append(version)

    async def _compare_history(self, who: int, key: Key) -> None:
        answer, state = await self.stores[who].read(key), self.states[key]
        after(state, Read(), answer)
        if isinstance(answer, Head) and self.tokens[key].setdefault(answer.token, mark_of(state)) != mark_of(state):
            raise Broken(f"{key!r}: token {answer.token!r} is that of an earlier state, too (H3)")

    async def _compare_scan(self, who: int, query: Query) -> None:
        found = [summary async for summary in self.stores[who].scan(query)]
        live = [state.summary for _, state in sorted(self.states.items()) if isinstance(state, Live)]
        matching = [summary for summary in live if query.matches(summary)]
        expected = matching[: query.limit] if query.limit else matching
        if found != expected:
            raise Broken(f"{query} gave {found} instead of {expected} (H8)")
