"""What can be said of any hub by using it: the race that its safety rests on, what comes back, whose clock is right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure.errors import PerdureError
from perdure.ids import Key
from perdure.spi import (
    Append,
    Committed,
    Envelope,
    Finding,
    Head,
    Missing,
    QueueName,
    StoredPayload,
    Summary,
    Tombstone,
    WorkerId,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from perdure.hub._hub import OpenHub

__all__ = ["examine_hub"]

KEY = Key("perdure-doctor")
"""The one instance that is written; a tombstone of it stays."""
QUEUE = QueueName("tasks:perdure-doctor")
"""The one queue that is used. Nobody serves it; it stays, empty, where queues are things that cost nothing to keep."""

WRITERS = 16
SKEW_SECONDS_MAX = 5.0
"""From here on a worker's timers may fire before or after their time (R14)."""
WAIT_SECONDS = 20.0
LEASE_SECONDS = 30.0


async def examine_hub(hub: OpenHub) -> AsyncIterator[Finding]:
    """Use an open hub: its store, then its queue. What goes wrong is a finding; nothing is raised.

    Yields:
        Each finding, when it is there.
    """
    for subject, look in (
        ("conditional writes", _race),
        ("clock", _clock),
        ("payloads", _payload),
        ("purge", _purge),
        ("messages", _message),
    ):
        yield await _look(subject, look, hub)


async def _look(subject: str, look: Callable[[OpenHub], Awaitable[Finding]], hub: OpenHub) -> Finding:
    try:
        return await look(hub)
    except PerdureError as problem:
        return Finding(subject, f"{type(problem).__name__}: {problem}", "Do what the message says, then look again.")


async def _race(hub: OpenHub) -> Finding:
    """Let 16 writers create one instance, and 16 continue it: of each, one may win."""
    found = await hub.store.read(KEY)
    version = found.version if isinstance(found, Head | Tombstone) else 0
    if isinstance(found, Head):
        # Left by an examination that was broken off. It is nobody's instance.
        purged = await hub.store.purge(KEY, version)
        version = 0 if isinstance(purged, Missing) else purged.version
    life = hub.new_id()
    for round_, create in enumerate((True, False)):
        winners = await _write_at_once(hub, version, life if create else "", hub.new_id())
        version += 1
        if winners == 0:
            return Finding(
                "conditional writes", "somebody else wrote at the same time", "Look again when it has ended."
            )
        if winners > 1:
            return Finding(
                "conditional writes",
                f"{winners} of {WRITERS} writers won round {round_ + 1}",
                "Do not use this store: two workers could both continue one instance. It needs conditional writes.",
            )
    return Finding("conditional writes", f"one of {WRITERS} writers won, each time")


async def _write_at_once(hub: OpenHub, expected: int, life: str, lot: str) -> int:
    now = hub.clock.now()

    def attempt(number: int) -> Append:
        # Creates of one incarnation are one create: each writer has its own.
        summary = Summary(KEY, "perdure-doctor", "Completed", f"{life}{number}" if life else lot, 0, now, now)
        record = f"{lot} {number}".encode()
        return Append(KEY, f"{lot}-{number}", record, expected + 1, expected, summary, create=bool(life))

    answers = await asyncio.gather(*(hub.store.append(attempt(number)) for number in range(WRITERS)))
    return sum(isinstance(answer, Committed) for answer in answers)


async def _clock(hub: OpenHub) -> Finding:
    if not hub.store.capabilities.server_time:
        return Finding("clock", "the store has no clock of its own to compare with")
    before = hub.clock.now()
    found = await hub.store.read(KEY)
    after = hub.clock.now()
    if not isinstance(found, Head):
        return Finding("clock", "not compared: nothing could be written", "Mend what is said of conditional writes.")
    skew = max(before - found.server_time, found.server_time - after, 0.0)
    told = (
        f"within {SKEW_SECONDS_MAX:g} s of the store's" if skew <= SKEW_SECONDS_MAX else f"{skew:.1f} s off the store's"
    )
    return Finding("clock", told, "" if skew <= SKEW_SECONDS_MAX else "Synchronise this machine's clock (NTP).")


async def _payload(hub: OpenHub) -> Finding:
    payload, data = StoredPayload(KEY, f"{hub.new_id()}/doctor"), hub.entropy.random_bytes(1024)
    await hub.store.put_payload(payload, data)
    same = await hub.store.get_payload(payload) == data
    await hub.store.delete_payloads([payload])
    if not same:
        return Finding("payloads", "one came back changed", "Do not use this store: it alters what is stored.")
    return Finding("payloads", "come back as they were written")


async def _purge(hub: OpenHub) -> Finding:
    found = await hub.store.read(KEY)
    if isinstance(found, Head):
        await hub.store.purge(KEY, found.version)
    return Finding("purge", "works")


async def _message(hub: OpenHub) -> Finding:
    name = hub.new_id()
    sent = await hub.queue.send([Envelope(QUEUE, name, KEY, name.encode())])
    if (error := sent[0].error) is not None:
        raise error
    until = hub.clock.monotonic() + WAIT_SECONDS
    worker = WorkerId(f"doctor-{name}")
    while (left := until - hub.clock.monotonic()) > 0:
        found = await hub.queue.receive(QUEUE, limit=10, lease_seconds=LEASE_SECONDS, wait_seconds=left, worker=worker)
        await hub.queue.complete(found)
        if any(delivery.envelope.body == name.encode() for delivery in found):
            return Finding("messages", "are sent, received and completed")
    return Finding("messages", f"one that was sent did not come in {WAIT_SECONDS:g} s", "Look at the queue's settings.")
