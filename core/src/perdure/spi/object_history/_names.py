"""Where things are: names of objects from instance ids and payload names of any text, and back.

    h/{hh}/{key}/head                               the history's end: see _head.py
    h/{hh}/{key}/c/{first version:020}-{turn id}    sealed records, immutable
    p/{hh}/{key}/{payload name}                     payloads
    ix/base                                         the index: summaries of all instances, see _index.py
    ix/marks/{mark}                                 clients that may have changed something that is in no segment yet
    ix/segments/{mark}-{number:012}                 what changed, until it is merged into the base

A text is written byte by byte of its UTF-8: `a-z 0-9 -` as they are, anything else as `_` and two hex digits. So no two
texts share a name, on file systems without case too, and none is hidden, a way up, or a pattern. What would be longer
than 160 characters is cut, and a dot (which no short one has) and a hash follow; the full text is inside the object and
is compared on read. `hh` are two hex digits of a hash, to spread the load over a service's partitions.
"""

from __future__ import annotations

import hashlib
import re

from perdure.errors import Misuse

__all__ = [
    "HEADS",
    "INDEX",
    "INDEX_BASE",
    "chunk_name",
    "chunk_prefix",
    "decode_part",
    "encode_part",
    "first_version_of",
    "head_name",
    "is_head",
    "mark_name",
    "mark_of",
    "payload_name",
    "payload_prefix",
    "segment_name",
    "segment_of",
]

HEADS = "h/"
INDEX = "ix/"
INDEX_BASE = "ix/base"
_MARKS = "ix/marks/"
_SEGMENTS = "ix/segments/"
_PART_CHARACTERS_MAX = 160
_KEPT_CHARACTERS = 100
_EMPTY = "_"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_WRITTEN = tuple(chr(byte) if byte in _PLAIN else f"_{byte:02x}" for byte in range(256))
_ESCAPED = re.compile(rb"_([0-9a-f]{2})")


def encode_part(text: str) -> str:
    """Write any text as one part of an object's name.

    Raises:
        Misuse: It holds lone surrogates.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise Misuse(f"{text[:40]!r} holds a lone surrogate: remove it.") from error
    written = "".join([_WRITTEN[byte] for byte in data]) or _EMPTY
    if len(written) <= _PART_CHARACTERS_MAX:
        return written
    return f"{written[:_KEPT_CHARACTERS]}.{hashlib.sha256(data).hexdigest()[:40]}"


def decode_part(part: str) -> str | None:
    """Read a text back; None if it was too long, then it is only inside the object."""
    if "." in part:
        return None
    if part == _EMPTY:
        return ""
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), part.encode()).decode()


def head_name(key: str) -> str:
    """Name the head of an instance."""
    return f"{HEADS}{_folder(key)}/head"


def is_head(name: str) -> bool:
    """Tell heads from chunks among what is listed under `HEADS`."""
    return name.endswith("/head") and name.count("/") == 3  # noqa: PLR2004 - h/hh/key/head


def chunk_prefix(key: str) -> str:
    """Give what the names of all chunks of an instance begin with."""
    return f"{HEADS}{_folder(key)}/c/"


def chunk_name(key: str, first_version: int, turn_id: str) -> str:
    """Name a chunk: by the turn that seals it, so that no two writers ever put different bytes under one name."""
    return f"{chunk_prefix(key)}{first_version:020}-{encode_part(turn_id)}"


def first_version_of(chunk: str) -> int:
    """Read the version of a chunk's first record from its name."""
    return int(chunk.rpartition("/")[2].partition("-")[0])


def payload_prefix(key: str) -> str:
    """Give what the names of all payloads of an instance begin with."""
    return f"p/{_folder(key)}/"


def payload_name(key: str, name: str) -> str:
    """Name a payload."""
    return f"{payload_prefix(key)}{encode_part(name)}"


def mark_name(mark: str) -> str:
    """Name the object of a mark."""
    return f"{_MARKS}{mark}"


def mark_of(name: str) -> str | None:
    """Read a mark from its object's name; None if that is something else."""
    return name.removeprefix(_MARKS) if name.startswith(_MARKS) else None


def segment_name(mark: str, number: int) -> str:
    """Name a segment: by the mark that its writer had, and counted up, so that no name is used twice."""
    return f"{_SEGMENTS}{mark}-{number:012}"


def segment_of(name: str) -> tuple[str, int] | None:
    """Read mark and number from a segment's name; None if that is something else."""
    if not name.startswith(_SEGMENTS):
        return None
    mark, _, number = name.removeprefix(_SEGMENTS).rpartition("-")
    return mark, int(number)


def _folder(key: str) -> str:
    part = encode_part(key)
    return f"{hashlib.sha256(key.encode()).hexdigest()[:2]}/{part}"
