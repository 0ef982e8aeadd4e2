"""A message in a queue: what it is apart from its content, what can be done with it, and the room that it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _message
from perdure_servicebus_emulator._errors import Condition, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perdure_servicebus_emulator._message import Content

__all__ = ["Ledger", "Message", "Outcome", "Settlement", "State", "room_of", "room_of_state"]

_OVERHEAD_BYTES = 512  # What a message costs here beside its bytes: without it a million empty ones would be free.
_NO_TEXTS: dict[object, bytes] = {}


class State(Enum):
    """Where a message is. The value stands in the annotation `x-opt-message-state`."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Outcome(Enum):
    """What a receiver wants done with a message that it holds."""

    COMPLETE = auto()
    ABANDON = auto()
    RELEASE = auto()
    DEFER = auto()
    DEAD_LETTER = auto()


class Settlement(NamedTuple):
    """An outcome, and application properties to set with it: encoded pairs."""

    outcome: Outcome
    texts: Mapping[object, bytes] = _NO_TEXTS


@dataclass(slots=True, eq=False)
class Message:
    """A message in a queue. `due_at`: of a scheduled one; `token`, `locked_until`: while it is locked."""

    sequence: int
    content: Content
    enqueued_at: float
    expires_at: float | None = None
    deliveries: int = 0
    state: State = State.ACTIVE
    due_at: float = 0.0
    token: bytes | None = None
    locked_until: float = 0.0
    dead_letter_source: str | None = None

    def has_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def written(self, locked_until: float | None = None) -> bytes:
        """Write it for a receiver, who holds it until then."""
        notes = [
            _SEQUENCE + codec.long(self.sequence),
            _ENQUEUED + codec.timestamp(self.enqueued_at),
            _STATE + codec.integer(self.state.value),
        ]
        if locked_until is not None:
            notes.append(_LOCKED_UNTIL + codec.timestamp(locked_until))
        if self.dead_letter_source is not None:
            notes.append(_SOURCE + codec.string(self.dead_letter_source))
        return _message.encode(self.content, self.deliveries, b"".join(notes), len(notes))


_SEQUENCE, _ENQUEUED, _STATE, _LOCKED_UNTIL, _SOURCE = (
    codec.symbol("x-opt-" + name)
    for name in ("sequence-number", "enqueued-time", "message-state", "locked-until", "deadletter-source")
)


class Ledger:
    """What a queue and its dead letters share: room, numbers of messages, names of locks.

    Args:
        bytes_max: Room in all.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._sequence = 0
        self._tokens_prefix = os.urandom(8)
        self._tokens = 0

    def take(self, size: int, *, queue: str) -> None:
        """Take room.

        Raises:
            Refused: There is not so much left.
        """
        if self._bytes + size > self._bytes_max:
            raise Refused(
                Condition.QUOTA,
                f"The maximum entity size has been reached or exceeded for queue {queue!r}: {self._bytes} of "
                f"{self._bytes_max} bytes are taken, {size} more do not fit. Receive messages to make room.",
            )
        self._bytes += size

    def give(self, size: int) -> None:
        """Give room back."""
        self._bytes -= size
        assert self._bytes >= 0, "More room was given back than was taken."

    def next_sequence(self) -> int:
        """Number a message."""
        self._sequence += 1
        return self._sequence

    def next_token(self) -> bytes:
        """Name a lock: 16 bytes that no other emulator gives."""
        self._tokens += 1
        return self._tokens_prefix + self._tokens.to_bytes(8, "big")


def room_of(content: Content) -> int:
    """Return the room that a message takes."""
    return content.size + _OVERHEAD_BYTES


def room_of_state(state: bytes | None) -> int:
    """Return the room that the state of a session takes."""
    return 0 if state is None else len(state) + _OVERHEAD_BYTES
