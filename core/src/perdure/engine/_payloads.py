"""Payloads that are too large for a record go out of line, each under the instance that refers to it (R16).

Names say whose and which, so that garbage can be told without a clock:

    {incarnation}/in                        input of the instance
    {incarnation}/e/{message id}            external event, written by its sender
    {incarnation}/t/{execution}-{seq}/{…}   result of an activity, written by the worker that ran it
    {incarnation}/r/{version}-{turn_id}/{i} anything else in the record of a turn
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from perdure import events
from perdure.spi import StoredPayload

if TYPE_CHECKING:
    from perdure.ids import Key

__all__ = ["Copy", "Offload", "input_name", "out_of_line", "own_copy"]

_E = TypeVar("_E", bound=msgspec.Struct)


class Copy(NamedTuple):
    """A payload to write and the reference to it."""

    reference: events.PayloadRef
    stored: tuple[StoredPayload, bytes]


def out_of_line(key: Key, name: str, data: bytes) -> Copy:
    """Plan to keep a payload of `key` under `name`."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    return Copy(events.PayloadRef(name, len(data), digest), (StoredPayload(key, name), data))


def input_name(incarnation: str) -> str:
    """Name the payload that holds the input of an instance."""
    return f"{incarnation}/in"


def own_copy(payload: events.Payload, incarnation: str) -> events.Payload:
    """Refer to a sub-orchestration's own copy of its input: it never leans on its parent's payloads."""
    if isinstance(payload, events.PayloadRef):
        return events.PayloadRef(input_name(incarnation), payload.length, payload.digest)
    return payload


class Offload:
    """Replaces large payloads in the events of one record by references, and collects what to write first."""

    __slots__ = ("_key", "_limit", "_prefix", "payloads")

    def __init__(self, key: Key, prefix: str, inline_bytes_max: int) -> None:
        self._key = key
        self._prefix = prefix
        self._limit = inline_bytes_max
        self.payloads: list[tuple[StoredPayload, bytes]] = []

    def all(self, members: tuple[_E, ...]) -> tuple[_E, ...]:
        """Treat each event; the same tuple comes back if nothing was large."""
        if not any(self._is_large(member) for member in members):
            return members
        return tuple(self._replace(member) if self._is_large(member) else member for member in members)

    def _is_large(self, event: msgspec.Struct) -> bool:
        payload = events.payload_of(event)
        return isinstance(payload, bytes) and len(payload) > self._limit

    def _replace(self, event: _E) -> _E:
        field = events.PAYLOAD_FIELDS[type(event)]
        copy = out_of_line(self._key, f"{self._prefix}/{len(self.payloads)}", getattr(event, field))
        self.payloads.append(copy.stored)
        return msgspec.structs.replace(event, **{field: copy.reference})
