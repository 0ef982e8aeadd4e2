"""HistoryStore: where the histories of a hub are kept, and what a store promises about them.

Records are opaque bytes here: core encodes them. A store sees keys, versions, turn ids and a small typed `Summary`
for queries.

    version      0 ─create→ v₁ ─append→ v₂ … vₙ ─purge→ t (tombstone) ─create→ w₁ …      v₁ < v₂ < … < t < w₁
    expected         0        v₁                vₙ              t
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, NewType

import msgspec

from perdure.ids import Key
from perdure.records import CLOSED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


__all__ = [
    "Append",
    "Committed",
    "Conflict",
    "Head",
    "HistoryStore",
    "Missing",
    "NotModified",
    "PayloadScope",
    "Purged",
    "Query",
    "Record",
    "StoreCapabilities",
    "StoredPayload",
    "Summary",
    "Token",
    "Tombstone",
]

Token = NewType("Token", str)
"""What a store calls one state of one history. Opaque; equal tokens mean an unchanged history."""


class StoreCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can do, in numbers. Checked by the conformance suite; refused before any effect when exceeded.

    Attributes:
        record_bytes_max: Largest record of one append.
        inline_bytes_max: Payloads above this go out of line, through `put_payload`.
        payload_bytes_max: Largest payload out of line.
        scan_lag_seconds: How far behind the appends a scan may be; 0 means not at all.
        notifies: Whether `changed` returns at once on a change (otherwise it looks again with back-off).
        server_time: Whether `Head.server_time` is the storage's clock and not this process's.
    """

    record_bytes_max: int
    inline_bytes_max: int
    payload_bytes_max: int
    scan_lag_seconds: float
    notifies: bool
    server_time: bool


class Summary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What can be queried about an instance without reading its history. Written with each append.

    Attributes:
        key: Instance id.
        name: Name of the orchestration.
        status: `Pending`, `Running`, `Suspended`, `Completed`, `Failed`, `Canceled` or `Terminated`.
        incarnation: Identity of this creation of the id: two creates with one incarnation are one create.
        execution: 0, 1, 2 … by continue-as-new.
        created_at: Seconds since the epoch, by the creator's clock.
        updated_at: The same, by the clock of the last turn.
        queue: Queue of turns the instance lives in.
        version: Version of the orchestration, or None.
        next_due: When its earliest open timer is due; 0 if there is none.
        stalled: Why it cannot run at the moment; empty if it can.
        tags: The user's tags.
        custom_status: The user's status text.
        parent: Instance id of the parent; empty for none.
    """

    key: str
    name: str
    status: str
    incarnation: str
    execution: int
    created_at: float
    updated_at: float
    queue: str = "default"
    version: str | None = None
    next_due: float = 0.0
    stalled: str = ""
    tags: dict[str, str] = {}
    custom_status: str = ""
    parent: str = ""

    @property
    def is_closed(self) -> bool:
        """Whether the instance has ended."""
        return self.status in CLOSED


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One stored record: `data` is byte for byte what was appended."""

    version: int
    turn_id: str
    data: bytes


class Append(msgspec.Struct, frozen=True, gc=False):
    """One record to add to one history, only if nothing else happened to it.

    Attributes:
        key: Whose history.
        turn_id: Identity of this attempt, new for each one: how an append whose answer was lost is recognised (R4).
        record: Opaque bytes.
        version: Version that the record gets: above `expected`; `expected + 1` except where `create` starts a
            new incarnation.
        expected: Last version the caller knows: of a record or a tombstone; 0 means that there is nothing.
        summary: Replaces the stored summary; must have the same key.
        create: Starts a new incarnation, identified by `summary.incarnation`: earlier records need not be kept, and
            a create that finds its own incarnation (or its tombstone) is `Committed`, whatever came after it.
    """

    key: Key
    turn_id: str
    record: bytes
    version: int
    expected: int
    summary: Summary
    create: bool = False


class Head(msgspec.Struct, frozen=True, gc=False):
    """A history as it was read.

    Attributes:
        key: Whose history.
        version: Version of the last record.
        token: For `known` of a later read and for `changed`.
        records: Records of the current incarnation with a version above `after`, in order, complete.
        summary: The stored summary.
        server_time: Wall time by the storage's clock, or by this process's (see capabilities).
    """

    key: Key
    version: int
    token: Token
    records: tuple[Record, ...]
    summary: Summary
    server_time: float


class Tombstone(msgspec.Struct, frozen=True):
    """The history was purged. `version` is the tombstone's own; `incarnation` the last one it knew."""

    version: int
    incarnation: str


class Missing(msgspec.Struct, frozen=True):
    """Nothing is known of the key."""


class NotModified(msgspec.Struct, frozen=True):
    """The history is what `known` says."""


class Committed(msgspec.Struct, frozen=True, gc=False):
    """The append is durable, now or since an earlier attempt with the same turn id. `version` is the record's."""

    version: int


class Conflict(msgspec.Struct, frozen=True, gc=False):
    """The append did not happen and will not: the history has `version`, not the expected one. Read again."""

    version: int


class Purged(msgspec.Struct, frozen=True):
    """A tombstone stands in place of the history; `version` is the tombstone's."""

    version: int


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances a scan yields; every condition that is given must hold.

    Attributes:
        statuses: Any of these; empty means all.
        names: Any of these; empty means all.
        id_prefix: Instance ids that begin so.
        created_from: Created at or after, seconds since the epoch; 0 means any.
        created_to: Created before; 0 means any.
        tags: Each of these tags has this value.
        stalled: Only stalled ones.
        due_before: `next_due` is set and at or before this; 0 means any.
        parent: Children of this instance; empty means any.
        limit: At most so many; 0 means no limit.
    """

    statuses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    id_prefix: str = ""
    created_from: float = 0.0
    created_to: float = 0.0
    tags: dict[str, str] = {}
    stalled: bool = False
    due_before: float = 0.0
    parent: str = ""
    limit: int = 0

    def matches(self, summary: Summary) -> bool:
        """Tell whether a summary fulfils every condition (`limit` aside): the one definition that providers share."""
        return (
            (not self.statuses or summary.status in self.statuses)
            and (not self.names or summary.name in self.names)
            and summary.key.startswith(self.id_prefix)
            and summary.created_at >= self.created_from
            and (not self.created_to or summary.created_at < self.created_to)
            and all(summary.tags.get(tag) == value for tag, value in self.tags.items())
            and (not self.stalled or bool(summary.stalled))
            and (not self.due_before or 0 < summary.next_due <= self.due_before)
            and (not self.parent or summary.parent == self.parent)
        )


class StoredPayload(msgspec.Struct, frozen=True, gc=False):
    """Where a payload out of line is: the key it belongs to and its name there (R16)."""

    key: Key
    name: str


class PayloadScope(msgspec.Struct, frozen=True):
    """Which payloads to list: all of one key whose names begin with `prefix`."""

    key: Key
    prefix: str = ""


class HistoryStore(ABC):
    """Append-only histories, one per key, with compare-and-append.

    H1  An append that returned Committed is durable.
    H2  Of appends with the same `expected`, at most one is Committed; versions grow and are never reused: not by
        continue-as-new, not after purge.
    H3  A read that starts after an append was Committed sees it.
    H4  An append whose answer was lost ends as Committed (found again: the record after version `expected` has my
        turn_id; a create: the history or tombstone has my incarnation) or raises Unknown; the same record appended
        again is never a second record.
    H5  Records come back byte for byte, in order and complete, or Corrupt is raised.
    H6  Purge leaves a tombstone that knows the last version; a late append to a purged key is a Conflict.
    H7  Keys do not touch each other, whatever characters they hold and whatever is a prefix of what.
    H8  A scan lists every matching instance that existed before it started and still does, within
        `capabilities.scan_lag_seconds`; pages are stable.
    H9  A payload is read back byte for byte under its reference; a reference leads nowhere outside the hub.
    H10 At each declared limit a call works; one past it is refused before any effect, with an error that names the
        limit.
    Not promised: order between keys, exclusivity, speed.

    Every method may raise Unavailable (nothing happened: the same call again, later), is safe to cancel and may be
    called from several tasks at once.
    """

    capabilities: StoreCapabilities

    requests: Mapping[str, int] = MappingProxyType({})
    """Requests to the service underneath so far, by its operations; empty where there is none that could cost money."""

    async def open(self) -> None:
        """Get ready: connect, check the stored format. Called once, before anything else.

        Raises:
            TooNew: The hub was written by a newer release. Nothing was changed.
            Misuse: The location cannot be used (no rights, not a folder …); the message says the mend.
        """

    async def aclose(self) -> None:
        """Let go of everything. Calls that are under way may raise Unavailable. Closing twice is allowed."""

    @abstractmethod
    async def read(
        self, key: Key, *, after: int = 0, known: Token | None = None
    ) -> Head | Tombstone | Missing | NotModified:
        """Read one history.

        Args:
            key: Whose.
            after: Only records with a higher version; 0 for all of the current incarnation.
            known: Token of an earlier read; NotModified if nothing changed since.

        Raises:
            Corrupt: Stored bytes are damaged: stop and tell a person. Nothing is overwritten.
        """

    @abstractmethod
    async def append(self, append: Append) -> Committed | Conflict:
        """Add one record, if the history still is at `append.expected`.

        Raises:
            Unknown: No answer, and no way to find out: repeat the identical append until it is definite.
            Misuse: Over a limit, or `version` is not above `expected`. Nothing was changed.
        """

    @abstractmethod
    async def purge(self, key: Key, expected: int) -> Purged | Conflict | Missing:
        """Replace a history by a tombstone and delete its records and payloads.

        Args:
            key: Whose.
            expected: Version of the last record the caller knows.

        Returns:
            Purged also if it was purged at `expected` before; Conflict if it has another version by now.
        """

    @abstractmethod
    def scan(self, query: Query) -> AsyncIterator[Summary]:
        """Yield the summaries that match, by key in ascending code-point order. Tombstones are not instances."""

    @abstractmethod
    async def changed(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        """Wait until the history is not what `known` says (None: until it exists), at most `wait_seconds`.

        Returns:
            True: it changed, or may have. False: the time is over and no change was seen.
        """

    async def ended(self, key: Key, known: Token | None, wait_seconds: float) -> bool:
        """Wait for the end of an instance, as those do who want its result; at most `wait_seconds`.

        What every store can do is done here: it tells of every change. One that sees the summaries which it stores
        should let pass what leaves the instance open: its clients read once, then, and not at every turn.

        Args:
            key: Whose.
            known: Token of an open history; None: nothing is known of it yet.
            wait_seconds: 0 or more; 0 looks once.

        Returns:
            True: it ended, was purged, or may have been: read it. False: the time is over and it was not seen to end.
        """
        return known is None or await self.changed(key, known, wait_seconds)

    @abstractmethod
    async def put_payload(self, payload: StoredPayload, data: bytes) -> None:
        """Store a payload durably. The same name again replaces it only by the same bytes.

        Raises:
            Misuse: Over `payload_bytes_max`. Nothing was stored.
        """

    @abstractmethod
    async def get_payload(self, payload: StoredPayload) -> bytes:
        """Read a payload.

        Raises:
            Corrupt: It is not there or damaged.
        """

    @abstractmethod
    def payloads(self, scope: PayloadScope) -> AsyncIterator[StoredPayload]:
        """Yield the payloads of a key, by name in ascending order: for garbage collection."""

    @abstractmethod
    async def delete_payloads(self, payloads: Sequence[StoredPayload]) -> None:
        """Delete payloads; those that are not there are passed over."""
