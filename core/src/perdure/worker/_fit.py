"""Making things fit: what goes into one record, and failures that are too large for a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure import codec, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from perdure.errors import Failure
    from perdure.spi import StoreCapabilities
    from perdure.worker._turns import Arrival

__all__ = ["first_batch", "fitting", "inline_limit"]

INLINE_BYTES_MIN = 256
"""Payloads up to this stay in the record even if it gets large: a reference is not much smaller."""

MESSAGE_CHARACTERS_MAX = 500
MEMBERS_MAX = 3


def first_batch(arrivals: Sequence[Arrival], limits: StoreCapabilities) -> list[Arrival]:
    """Take as many messages as fit into one record beside what the code decides; at least one."""
    if len(arrivals) == 1:
        return [*arrivals]
    left = limits.record_bytes_max // 4
    batch: list[Arrival] = []
    for arrival in arrivals:
        left -= min(_length(arrival), limits.inline_bytes_max)
        if batch and left < 0:
            break
        batch.append(arrival)
    return batch


def _length(arrival: Arrival) -> int:
    return len(codec.encode(arrival.message)) if arrival.is_local else len(arrival.delivery.envelope.body)


def inline_limit(members: Iterable[events.INPUTS | events.DECISIONS], usual: int, record_bytes_max: int) -> int:
    """Say which payloads go out of line: fewer stay in a record that would get too large with the usual limit."""
    together = 0
    for member in members:
        payload = events.payload_of(member)
        together += len(payload) if isinstance(payload, bytes) and len(payload) <= usual else 0
    return usual if together <= record_bytes_max // 2 else min(usual, INLINE_BYTES_MIN)


def fitting(failure: Failure, bytes_max: int) -> Failure:
    """Leave out of a failure what says least, until it fits into a message: one that cannot travel tells nobody."""
    if _size(failure) <= bytes_max:
        return failure
    smaller = failure
    for shorten in (_without_traceback, _without_long_texts, _without_many_members, _bare):
        smaller = _everywhere(shorten, smaller)
        note = f"(Parts were left out: it had more than {bytes_max} bytes.)"
        told = msgspec.structs.replace(smaller, notes=(*smaller.notes, note))
        if _size(told) <= bytes_max:
            return told
    return msgspec.structs.replace(_bare(smaller), notes=())


def _size(failure: Failure) -> int:
    return len(msgspec.msgpack.encode(failure))


def _everywhere(shorten: Callable[[Failure], Failure], failure: Failure) -> Failure:
    """Shorten a failure and all that hang on it; they hang at most sixteen deep."""
    short = shorten(failure)
    return msgspec.structs.replace(
        short,
        cause=None if short.cause is None else _everywhere(shorten, short.cause),
        context=None if short.context is None else _everywhere(shorten, short.context),
        members=tuple([_everywhere(shorten, member) for member in short.members]),
    )


def _without_traceback(failure: Failure) -> Failure:
    return msgspec.structs.replace(failure, traceback="")


def _without_long_texts(failure: Failure) -> Failure:
    return msgspec.structs.replace(failure, message=failure.message[:MESSAGE_CHARACTERS_MAX], notes=())


def _without_many_members(failure: Failure) -> Failure:
    return msgspec.structs.replace(failure, context=None, members=failure.members[:MEMBERS_MAX])


def _bare(failure: Failure) -> Failure:
    return msgspec.structs.replace(failure, cause=None, context=None, members=(), notes=())
