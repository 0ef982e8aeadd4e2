"""ObjectHistoryStore: histories on any service that replaces whole objects conditionally.

One head object per instance (`_head.py`). A turn is one conditional PUT of it; a usual instance is loaded by one GET.
Everything hangs on the condition: a write names the etag of the head that it was computed from, no two heads have one
etag, so of two writers from one head one fails, however late its request arrives.

The answer to a write can be lost. Then the head is read again: if my turn follows the expected version, it is mine; if
the head moved on without it, it never will be; if nothing changed, the request may still be under way, so the identical
bytes go to the same condition again, a few times, and then `Unknown` makes the caller repeat the identical append (R4).

What is remembered of heads is only used to save the GET before a PUT. Every refusal is decided on a head just read.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from perdure.errors import Corrupt, Misuse, Unavailable, Unknown
from perdure.ids import Key
from perdure.spi.history import (
    Append,
    Committed,
    Conflict,
    HistoryStore,
    Missing,
    NotModified,
    PayloadScope,
    Purged,
    Query,
    Record,
    StoreCapabilities,
    StoredPayload,
    Token,
    Tombstone,
)
from perdure.spi.history import Head as HeadRead
from perdure.spi.object_history._attempts import ROUNDS_MAX, Attempts
from perdure.spi.object_history._client_index import Index
from perdure.spi.object_history._head import (
    Head,
    Verdict,
    add,
    bury,
    decode_chunk,
    decode_head,
    encode_head,
    judge,
)
from perdure.spi.object_history._index_objects import read_heads
from perdure.spi.object_history._names import chunk_prefix, first_version_of, head_name
from perdure.spi.object_history._parallel import read_each
from perdure.spi.object_history._payloads import Payloads
from perdure.spi.object_history._remembered import Remembered, Seen
from perdure.spi.objects import Absent, ConditionalObjects, Etag, Found, PreconditionFailed, Unchanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi.history import Summary
    from perdure.spi.object_history._index import Entry
    from perdure.spi.plugin import Environment

__all__ = ["ObjectHistoryStore"]

_MIB = 2**20
_LOOK_FIRST_SECONDS, _LOOK_LAST_SECONDS = 0.05, 2.0

CAPABILITIES = StoreCapabilities(
    record_bytes_max=8 * _MIB,
    inline_bytes_max=32 * 2**10,
    payload_bytes_max=100 * _MIB,
    scan_lag_seconds=0,
    notifies=False,
    server_time=False,
)


class _Gone(Exception):
    """A chunk is not there: the head that names it is outdated, or damage."""


class ObjectHistoryStore(HistoryStore):
    """The histories of a hub as objects of a service.

    Args:
        objects: Where; opened and closed with the store.
        environment: The hub's clock and entropy.
        look_seconds_max: Longest pause between two looks of `changed`.
        index_seconds: How often changes are written to an index for scans; None: there is no index, a scan reads every
            head. All clients of a hub must say the same.
    """

    capabilities = CAPABILITIES

    def __init__(
        self,
        objects: ConditionalObjects,
        environment: Environment,
        *,
        look_seconds_max: float = _LOOK_LAST_SECONDS,
        index_seconds: float | None = None,
    ) -> None:
        self._objects = objects
        self._clock = environment.clock
        self._entropy = environment.entropy
        self._payloads = Payloads(objects)
        self._remembered = Remembered()
        self._look_seconds_max = look_seconds_max
        self._waiting: dict[Key, set[asyncio.Event]] = {}
        self._index: Index | None = None
        if index_seconds is not None:
            self._index = Index(objects, environment, index_seconds, read_head=self._load)
            self.capabilities = msgspec.structs.replace(self.capabilities, scan_lag_seconds=self._index.lag_seconds)

    async def open(self) -> None:
        """As `HistoryStore.open`."""
        await self._objects.open()

    async def aclose(self) -> None:
        """As `HistoryStore.aclose`."""
        try:
            if self._index is not None:
                await self._index.writer.aclose()
        finally:
            await self._objects.aclose()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> HeadRead | Tombstone | Missing | NotModified:
        """As `HistoryStore.read`: one GET, and one for each chunk that is needed."""
        missed: Etag | None = None
        while True:
            remembered = self._remembered.get(key)
            asked = Etag(known) if known is not None else remembered.etag
            found = await self._objects.get(head_name(key), asked)
            if isinstance(found, Unchanged) and known is not None:
                return NotModified()
            seen = self._take_in(key, found, remembered)
            head = seen.head
            if head is None or seen.etag is None:
                return Missing()
            if head.summary is None:
                return Tombstone(head.version, head.lives[-1].incarnation)
            try:
                records = await self._read_records(head, after)
            except _Gone as gone:
                # A purge or a replacement may have deleted it since the head was read: then the head is another one.
                if missed == seen.etag:
                    raise Corrupt(f"{key!r}: chunk {gone} is not there. Restore it from a backup.") from gone
                missed = seen.etag
                continue
            assert not isinstance(found, Absent), key  # there is a head
            now = found.server_time or self._clock.now()
            return HeadRead(key, head.version, Token(seen.etag), records, head.summary, now)

    async def _load(self, key: Key) -> Seen:
        remembered = self._remembered.get(key)
        return self._take_in(key, await self._objects.get(head_name(key), remembered.etag), remembered)

    def _take_in(self, key: Key, found: Found | Absent | Unchanged, remembered: Seen) -> Seen:
        if isinstance(found, Unchanged):
            return remembered
        seen = Seen()
        if isinstance(found, Found):
            seen = Seen(found.etag, decode_head(found.data, name=head_name(key), key=key))
            if self._index is not None and seen.head is not None:
                self._index.writer.saw(seen.head)
        self._remembered.put(key, seen)
        return seen

    async def _read_records(self, head: Head, after: int) -> tuple[Record, ...]:
        records: list[Record] = []
        refs = {ref.name: ref for ref in head.chunks_after(after)}
        async for name, found in read_each(self._objects, list(refs)):
            if not isinstance(found, Found):
                raise _Gone(name)
            records += decode_chunk(found.data, refs[name], key=head.key)
        records += head.tail
        return tuple(record for record in records if record.version > after)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def append(self, append: Append) -> Committed | Conflict:
        """As `HistoryStore.append`: one conditional PUT; a GET before it only if the head is not remembered."""
        self._check(append)
        remembered = self._remembered.get(append.key)
        # A create that expects nothing needs no GET to learn that there is nothing: its condition says so.
        seen = remembered if remembered.head is not None or append.expected == 0 else None
        attempts = Attempts(f"{append.key!r}: version {append.version}")
        is_fresh = False
        for _ in range(ROUNDS_MAX):
            try:
                if seen is None:
                    seen, is_fresh = await self._load(append.key), True
                verdict = judge(seen.head, append)
                if verdict is Verdict.LOOK_BACK and is_fresh:
                    verdict = await self._look_back(seen, append)
                if verdict is Verdict.WRITE:
                    written = await self._write(seen, append)
                    if written is not None:
                        return written
                elif is_fresh and not isinstance(verdict, Verdict):
                    return verdict
            except (Unavailable, Unknown) as error:
                attempts.note(error)
                await self._clock.sleep(attempts.pause_seconds)
            seen = None
        raise attempts.never_held()

    async def _write(self, seen: Seen, append: Append) -> Committed | None:
        """Write the head with one more record; None if it is not the one that was seen."""
        head, chunk = add(seen.head, append)
        if chunk is not None:
            await self._objects.put(chunk.name, chunk.data)
        # Crash here: a chunk that no head names. The purge of the instance deletes it.
        if not await self._replace(append.key, seen, head):
            return None
        if append.create and seen.head is not None and seen.head.chunks:
            with suppress(Unavailable, Unknown):  # Garbage, and this record is committed: the purge tries again.
                await self._objects.delete([ref.name for ref in seen.head.chunks])
        return Committed(append.version)

    async def _replace(self, key: Key, seen: Seen, head: Head) -> bool:
        """Put a head in place of the one that was seen, if that is still there."""
        name, data = head_name(key), encode_head(head)
        # Until there is an answer nothing is known: a call that is cancelled here may still have its effect.
        self._remembered.forget(key)
        put = partial(self._objects.put, name, data, if_absent=seen.etag is None, if_match=seen.etag)
        etag = await (put() if self._index is None else self._index.writer.write(head, seen.version, put))
        if isinstance(etag, PreconditionFailed):
            return False
        self._remembered.put(key, Seen(etag, head))
        for event in self._waiting.get(key, ()):
            event.set()
        return True

    async def _look_back(self, seen: Seen, append: Append) -> Committed | Conflict | Verdict:
        """Find who wrote the record after the expected version among the records of this incarnation."""
        assert seen.head is not None
        try:
            records = await self._read_records(seen.head, append.expected)
        except _Gone as gone:
            raise Unavailable(f"{append.key!r}: chunk {gone} went away while it was read: try again.") from gone
        if records[0].turn_id == append.turn_id:
            return Committed(records[0].version)
        return Conflict(seen.head.version)

    def _check(self, append: Append) -> None:
        most, size = self.capabilities.record_bytes_max, len(append.record)
        if size > most:
            raise Misuse(
                f"{append.key!r}: a record has at most record_bytes_max={most} bytes, this one has {size}: put what is "
                "large out of line."
            )
        if append.version <= append.expected:
            raise Misuse(f"{append.key!r}: version {append.version} is not above the expected one, {append.expected}.")
        if append.summary.key != append.key:
            raise Misuse(f"{append.key!r}: the summary is of another instance, {append.summary.key!r}.")
        if not all(map(math.isfinite, (append.summary.created_at, append.summary.updated_at, append.summary.next_due))):
            # JSON has no such numbers: written, they would make the head unreadable.
            raise Misuse(f"{append.key!r}: a time in the summary is infinite or no number: 0 stands for none.")
        if not append.create and append.expected == 0:
            raise Misuse(f"{append.key!r}: only a create can expect that there is nothing: set create=True, or read.")

    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        """As `HistoryStore.purge`: the tombstone first, under the same condition as any write; then the rest (R9)."""
        attempts = Attempts(f"{key!r}: the purge of version {expected}")
        write_id = self._entropy.random_bytes(8).hex()
        payloads: list[StoredPayload] = []
        for _ in range(ROUNDS_MAX):
            try:
                seen = await self._load(key)
                head = seen.head
                if head is None:
                    return Missing()
                if head.summary is None and head.purged == expected:
                    attempts.is_visible = True
                    if head.write_id == write_id:
                        await self._payloads.delete(payloads)
                    await self._clear(head)
                    return Purged(head.version)
                if head.summary is None or head.version != expected:
                    return Conflict(head.version)
                # Only what was there before: a new incarnation may put its own as soon as the tombstone stands.
                payloads = await self._payloads.find(PayloadScope(key))
                tombstone = bury(head, write_id)
                if await self._replace(key, seen, tombstone):
                    attempts.is_visible = True
                    # Crash here: the rest stays until the purge is repeated.
                    await self._payloads.delete(payloads)
                    await self._clear(tombstone)
                    return Purged(tombstone.version)
            except (Unavailable, Unknown) as error:
                attempts.note(error)
                await self._clock.sleep(attempts.pause_seconds)
        raise attempts.never_held()

    async def _clear(self, tombstone: Head) -> None:
        """Delete what belongs to the dead incarnations and to nobody else (R16: payload names begin with them)."""
        key = tombstone.key
        dead = tuple(f"{life.incarnation}/" for life in tombstone.lives)
        names = [name async for name in self._objects.list(chunk_prefix(key))]
        await self._objects.delete([name for name in names if first_version_of(name) <= tombstone.purged])
        payloads = await self._payloads.find(PayloadScope(Key(key)))
        await self._payloads.delete([payload for payload in payloads if payload.name.startswith(dead)])

    # ── finding and waiting ──────────────────────────────────────────────────────────────────────────────────────

    async def scan(self, query: Query) -> AsyncIterator[Summary]:
        """As `HistoryStore.scan`."""
        found = 0
        for entry in sorted(await self._entries(), key=lambda one: one.key):
            if entry.summary is not None and query.matches(entry.summary):
                yield entry.summary
                found += 1
                if found == query.limit:
                    return

    async def _entries(self) -> Sequence[Entry]:
        if self._index is not None:
            return await self._index.find()
        return await read_heads(self._objects)

    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        """As `HistoryStore.changed`: looks with a conditional GET, at growing pauses; at once for own appends."""
        deadline = self._clock.monotonic() + wait_seconds
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        try:
            pause = _LOOK_FIRST_SECONDS
            while not await self._is_changed(key, known):
                patience = deadline - self._clock.monotonic()
                if patience <= 0:
                    return False
                await self._clock.wait(event, min(patience, pause))
                event.clear()
                pause = min(pause * 1.5, self._look_seconds_max)
            return True
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    async def _is_changed(self, key: Key, known: Token | None) -> bool:
        if known is not None:
            return not isinstance(await self._objects.get(head_name(key), Etag(known)), Unchanged)
        seen = await self._load(key)
        return seen.head is not None and seen.head.summary is not None

    # ── payloads ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        """As `HistoryStore.put_payload`."""
        most = self.capabilities.payload_bytes_max
        if len(data) > most:
            raise Misuse(
                f"{payload.key!r}: payload {payload.name!r} has {len(data)} bytes, at most payload_bytes_max={most} go."
            )
        await self._payloads.put(payload, data)

    async def get_payload(self, payload: StoredPayload) -> bytes:
        """As `HistoryStore.get_payload`."""
        return await self._payloads.get(payload)

    async def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        """As `HistoryStore.payloads`."""
        for payload in await self._payloads.find(scope):
            yield payload

    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        """As `HistoryStore.delete_payloads`."""
        if payloads:
            await self._payloads.delete(list(payloads))
