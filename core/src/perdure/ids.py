"""Names of things: checked where users give them, derived where replay must find them again.

Instance ids are the user's. Everything else is derived from recorded values, never random per attempt, so that
sending a message twice does no harm; only incarnations and turn ids are new each time (protocol, R1, R4, R6).
"""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from itertools import product
from typing import NewType

from perdure.errors import Misuse

__all__ = [
    "INSTANCE_ID_CHARACTERS_MAX",
    "PARTITION_COUNT",
    "Key",
    "check_instance_id",
    "check_name",
    "child_incarnation",
    "message_id",
    "partition_of",
    "short_id",
]

_PAIRS = tuple("".join(pair) for pair in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2))

Key = NewType("Key", str)
"""A checked instance id: the key of one history in a store and of one group in a queue."""

INSTANCE_ID_CHARACTERS_MAX = 256
NAME_CHARACTERS_MAX = 200
PARTITION_COUNT = 256
"""Partitions that envelopes are spread over. Part of the wire format: never change it."""


def check_instance_id(instance_id: object) -> Key:
    """Check an instance id that came from outside.

    Any Unicode text of 1 to 256 characters without control characters or lone surrogates; ids are compared
    exactly: `A` and `a`, or two normal forms of one letter, are two instances.

    Raises:
        Misuse: The message names the id and what to change.
    """
    if not isinstance(instance_id, str):
        raise Misuse(f"An instance id is text, not {type(instance_id).__name__}: {instance_id!r:.80}.")
    if not 1 <= len(instance_id) <= INSTANCE_ID_CHARACTERS_MAX:
        raise Misuse(
            f"An instance id has 1 to {INSTANCE_ID_CHARACTERS_MAX} characters, this one has {len(instance_id)}: "
            f"{instance_id[:40]!r}…. Use a shorter one, for example a hash of it."
        )
    _refuse_hidden(instance_id, what="instance id")
    return Key(instance_id)


def check_name(name: object, *, what: str) -> str:
    """Check a name of an activity, orchestration, event, queue or tag; like an instance id, 1 to 200 characters.

    Raises:
        Misuse: The message names the value and what to change.
    """
    if not isinstance(name, str):
        raise Misuse(f"A name of {what} is text, not {type(name).__name__}: {name!r:.80}.")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Misuse(f"A name of {what} has 1 to {NAME_CHARACTERS_MAX} characters: {name[:40]!r} has {len(name)}.")
    _refuse_hidden(name, what=f"name of {what}")
    return name


def _refuse_hidden(text: str, *, what: str) -> None:
    if text.isascii() and text.isprintable():
        return
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise Misuse(
                f"The {what} {text[:40]!r} holds the control character or lone surrogate {character!r}: remove it."
            )


def short_id(random_bytes: bytes) -> str:
    """Write 10 random bytes as 16 lower-case characters: incarnations and turn ids (80 bits, safe in file names)."""
    number = int.from_bytes(random_bytes, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])


def child_incarnation(parent_incarnation: str, execution: int, seq: int) -> str:
    """Derive the incarnation of a sub-orchestration, so that creating it twice is creating it once (R1)."""
    digest = hashlib.blake2b(f"{parent_incarnation}/{execution}/{seq}".encode(), digest_size=10)
    return short_id(digest.digest())


def message_id(incarnation: str, execution: int, ordinal: int | str) -> str:
    """Derive the id of a message from the record that sends it (R2): the same on every attempt."""
    return f"{incarnation}/{execution}/{ordinal}"


def partition_of(key: Key) -> int:
    """Spread instances evenly over 0 to `PARTITION_COUNT` - 1; all messages of one instance share a partition."""
    return zlib.crc32(key.encode()) % PARTITION_COUNT
