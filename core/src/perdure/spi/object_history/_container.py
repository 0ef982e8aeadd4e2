r"""What every stored object looks like: a line that tells what it is, a line of JSON, and bytes.

    perdure head 1 5f3a9c21\n
    {"key":"order-4711","version":3,…}\n
    …the records, each followed by a line end…

The checksum (CRC-32) is of everything after the first line. The first line is never changed by any release: it tells an
older one that the rest is too new for it.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

import msgspec

from perdure.errors import Corrupt, Misuse, TooNew

__all__ = ["FORMAT", "pack", "unpack"]

FORMAT = 1
_MAGIC = b"perdure"
_FIRST_LINE_BYTES_MAX = 64

Info = TypeVar("Info")


def pack(kind: str, info: object, parts: tuple[bytes, ...] = ()) -> bytes:
    """Put an object together.

    Args:
        kind: `head`, `chunk`, `payload` or `index`.
        info: What goes into the line of JSON.
        parts: Bytes, each of which a line end follows; their lengths are in `info`.

    Raises:
        Misuse: A text in `info` holds a lone surrogate.
    """
    try:
        lines = [msgspec.json.encode(info), b"\n"]
    except UnicodeEncodeError as error:
        raise Misuse(f"A text of this {kind} holds a lone surrogate ({error}): remove it.") from error
    for part in parts:
        lines += (part, b"\n")
    body = b"".join(lines)
    return b"%s %s %d %08x\n%s" % (_MAGIC, kind.encode(), FORMAT, zlib.crc32(body), body)


def unpack(kind: str, data: bytes, info_type: type[Info], *, name: str) -> tuple[Info, bytes]:
    """Take an object apart.

    Args:
        kind: What it must be.
        data: The object.
        info_type: Of its line of JSON.
        name: Of the object, for messages.

    Returns:
        The line of JSON, and the bytes after it.

    Raises:
        Corrupt: It is damaged, or of another kind.
        TooNew: A newer release wrote it.
    """
    first, _, _ = data[:_FIRST_LINE_BYTES_MAX].partition(b"\n")
    words = first.split(b" ")
    if len(words) != 4 or words[0] != _MAGIC or words[1] != kind.encode() or not words[2].isdigit():  # noqa: PLR2004
        raise Corrupt(f"{name} is no {kind} of Perdure: it begins with {first[:40]!r}. Restore it from a backup.")
    if int(words[2]) > FORMAT:
        raise TooNew(f"{name} has format {int(words[2])}, this release reads up to {FORMAT}: use the newer release.")
    if words[2] != b"%d" % FORMAT:
        raise Corrupt(f"{name} is damaged: there was never a format {words[2]!r}. Restore it from a backup.")
    body = data[len(first) + 1 :]
    if words[3] != b"%08x" % zlib.crc32(body):
        raise Corrupt(f"{name} is damaged: its checksum is not {words[3].decode(errors='replace')}. Restore it.")
    line, _, rest = body.partition(b"\n")
    try:
        return msgspec.json.decode(line, type=info_type), rest
    except msgspec.DecodeError as error:
        raise Corrupt(f"{name} is damaged: {error}. Restore it from a backup.") from error
