"""OpenHub: one opened pair of store and queue, with the committer that ties them, a clock and entropy."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

import msgspec

from perdure import codec, events
from perdure.config import parse_location
from perdure.engine import InstanceState, fold
from perdure.errors import Corrupt, Unavailable, Unknown
from perdure.hub._plugins import find_committer, find_queue, find_store, natural_queue
from perdure.ids import Key, short_id
from perdure.records import TurnRecord
from perdure.spi import (
    Conflict,
    Done,
    Environment,
    Head,
    Missing,
    Step,
    StoredPayload,
    SystemClock,
    SystemEntropy,
    Token,
    Tombstone,
    queue_class,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.config import Settings
    from perdure.spi import Clock, Committer, Entropy, Envelope, HistoryStore, Location, WorkQueue

__all__ = ["Loaded", "OpenHub", "locations_of", "open_hub"]

_E = TypeVar("_E", bound=msgspec.Struct)

ENVELOPE_OVERHEAD_BYTES = 4096
"""Kept free in a message body beside the payload: ids, names, retry rules."""

COMMIT_RETRY_FIRST_SECONDS = 0.05
COMMIT_RETRY_MAX_SECONDS = 5.0


class Loaded(msgspec.Struct, frozen=True):
    """A history as it was read: its state, and its records with payloads still out of line.

    `state` is None if there is no such instance, or only its tombstone.
    """

    state: InstanceState | None
    records: tuple[TurnRecord, ...]
    head: Head | Tombstone | Missing


class OpenHub:
    """One opened hub. Shared by the client and the workers of a process."""

    def __init__(
        self, store: HistoryStore, queue: WorkQueue, committer: Committer, environment: Environment, *, name: str
    ) -> None:
        self.store = store
        self.queue = queue
        self.committer = committer
        self.clock: Clock = environment.clock
        self.entropy: Entropy = environment.entropy
        self.name = name
        bodies = [c.body_bytes_max - ENVELOPE_OVERHEAD_BYTES for c in queue.capabilities.values()]
        self.inline_bytes_max = min(store.capabilities.inline_bytes_max, *bodies)

    async def aclose(self) -> None:
        """Close queue and store."""
        try:
            await self.queue.aclose()
        finally:
            await self.store.aclose()

    def new_id(self) -> str:
        """Make an incarnation, a turn id or the id of an external event."""
        return short_id(self.entropy.random_bytes(10))

    async def load(self, key: Key) -> Loaded:
        """Read a history, authoritatively (R3).

        Raises:
            Corrupt: Damaged, or not a history: tell a person.
            TooNew: Leave it to a newer worker.
            Unavailable: Try again later.
        """
        head = await self.store.read(key)
        if not isinstance(head, Head):
            assert isinstance(head, Tombstone | Missing), head
            return Loaded(None, (), head)
        records = tuple(
            codec.decode_record(record.data, where=f"{key}: record {record.version}") for record in head.records
        )
        state = fold(key, records)
        state.history_bytes = sum(len(record.data) for record in head.records)
        return Loaded(state, records, head)

    async def commit(self, step: Step, *, give_up_seconds: float) -> Done | Conflict:
        """Carry out a Step, repeating it unchanged until the answer is definite (R4).

        Args:
            step: What to do.
            give_up_seconds: No new attempt begins after so long (R11).

        Raises:
            Unknown: Still uncertain: read before you decide anything else.
            Unavailable: Still no answer; likewise.
        """
        step = self._within_delays(step)
        began = self.clock.monotonic()
        delay = COMMIT_RETRY_FIRST_SECONDS
        while True:
            try:
                return await self.committer.commit(step)
            except (Unknown, Unavailable):
                if self.clock.monotonic() - began + delay > give_up_seconds:
                    raise
            await self.clock.sleep(delay)
            delay = min(delay * 2, COMMIT_RETRY_MAX_SECONDS)

    def _within_delays(self, step: Step) -> Step:
        """Shorten delays that the queue cannot keep: whoever receives such a message early sends it on (R13)."""
        if not step.create and not any(sent.not_before for sent in step.send):
            return step
        create = [msgspec.structs.replace(one, then=self._shortened(one.then)) for one in step.create]
        send = [self._shortened(one) for one in step.send]
        return msgspec.structs.replace(step, create=tuple(create), send=tuple(send))

    def _shortened(self, sent: Envelope) -> Envelope:
        longest = self.queue.capabilities[queue_class(sent.queue)].delay_seconds_max
        # A second less: what the queue subtracts again must not come out above its limit for a rounding error.
        latest = self.clock.now() + max(0.0, longest - 1)
        return sent if sent.not_before <= latest else msgspec.structs.replace(sent, not_before=latest)

    async def put_payloads(self, payloads: Iterable[tuple[StoredPayload, bytes]]) -> None:
        """Write payloads out of line: before the record or message that names them (R16)."""
        for stored, data in payloads:
            await self.store.put_payload(stored, data)

    async def get_payload(self, key: Key, payload: events.Payload) -> bytes:
        """Read a payload of an instance, wherever it is.

        Raises:
            Corrupt: It is not there, or not what was written.
        """
        if isinstance(payload, bytes):
            return payload
        data = await self.store.get_payload(StoredPayload(key, payload.name))
        if len(data) != payload.length or hashlib.sha256(data).hexdigest()[:16] != payload.digest:
            raise Corrupt(f"{key}: payload {payload.name} is not what was written ({len(data)} bytes).")
        return data

    async def inline(self, key: Key, members: tuple[_E, ...]) -> tuple[_E, ...]:
        """Bring the payloads of events in line; the same tuple comes back if all were."""
        if not any(_reference(member) for member in members):
            return members
        return tuple([await self._inline_one(key, member) for member in members])

    async def _inline_one(self, key: Key, event: _E) -> _E:
        field = _reference(event)
        if not field:
            return event
        return msgspec.structs.replace(event, **{field: await self.get_payload(key, getattr(event, field))})

    async def inline_record(self, key: Key, record: TurnRecord) -> TurnRecord:
        """Bring the payloads of a record in line."""
        inputs = await self.inline(key, record.inputs)
        decisions = await self.inline(key, record.decisions)
        if inputs is record.inputs and decisions is record.decisions:
            return record
        return msgspec.structs.replace(record, inputs=inputs, decisions=decisions)

    async def changed(self, key: Key, token: Token | None, wait_seconds: float) -> bool:
        """Wait for a history to change; see `HistoryStore.changed`."""
        return await self.store.changed(key, token, wait_seconds)

    async def ended(self, key: Key, token: Token | None, wait_seconds: float) -> bool:
        """Wait for an instance to end; see `HistoryStore.ended`."""
        return await self.store.ended(key, token, wait_seconds)


def _reference(event: msgspec.Struct) -> str:
    """Name the field of an event that is out of line, if one is."""
    field = events.PAYLOAD_FIELDS.get(type(event), "")
    return field if field and isinstance(getattr(event, field), events.PayloadRef) else ""


def locations_of(settings: Settings) -> tuple[Location, Location]:
    """Take apart where the store and the queue are that the settings name.

    Raises:
        Misuse: A URL that is none, or no queue is named and none goes naturally with the store.
    """
    store = parse_location(settings.store_url)
    return store, parse_location(settings.queue or natural_queue(store, store.url))


async def open_hub(settings: Settings, *, environment: Environment | None = None) -> OpenHub:
    """Find the providers that the settings name, and open them.

    Raises:
        Misuse: An unknown scheme or option, a location that cannot be used; the message says the mend.
        TooNew: The hub was written by a newer release.
        Unavailable: The storage does not answer.
    """
    environment = environment or Environment(SystemClock(), SystemEntropy())
    store_location, queue_location = locations_of(settings)
    store = find_store(store_location)(store_location, environment)
    queue = find_queue(queue_location)(queue_location, environment)
    await store.open()
    try:
        await queue.open()
    except BaseException:
        await store.aclose()
        raise
    return OpenHub(store, queue, find_committer(store, queue, environment), environment, name=store_location.url)
