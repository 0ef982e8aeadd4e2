"""Frames on a stream of bytes: eight bytes of header, then a body; and the protocol headers before them."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

__all__ = ["AMQP_HEADER", "EMPTY_FRAME", "SASL_HEADER", "Frame", "FrameReader", "FramingError", "frame_bytes"]

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"  # Says: I am still here.

_HEADER = Struct(">IBBH")
_WORD_BYTES = 4  # The header tells where the body begins in words of four bytes,
_OFFSET_MIN = 2  # and it is itself two of them.


class FramingError(ValueError):
    """No frame can be cut from these bytes. Do: end the connection with `amqp:connection:framing-error`."""


class Frame(NamedTuple):
    """One frame. An empty body is a heartbeat."""

    kind: int
    channel: int
    body: bytes


class FrameReader:
    """Cuts frames from bytes as they come.

    Args:
        bytes_max: The longest frame that is accepted, with its header.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self._buffer += data

    def take_header(self) -> bytes | None:
        """Take the eight bytes of a protocol header; None: they are not there yet."""
        if len(self._buffer) < _HEADER.size:
            return None
        header = bytes(self._buffer[: _HEADER.size])
        del self._buffer[: _HEADER.size]
        return header

    def take(self) -> Frame | None:
        """Take the next frame; None: it is not there yet.

        Raises:
            FramingError: What comes next is no frame.
        """
        if len(self._buffer) < _HEADER.size:
            return None
        size, offset, kind, channel = _HEADER.unpack_from(self._buffer)
        begin = offset * _WORD_BYTES
        if not _HEADER.size <= size <= self._bytes_max or not _OFFSET_MIN <= offset <= size // _WORD_BYTES:
            raise FramingError(f"A frame of {size} bytes whose body begins at {begin}: at most {self._bytes_max}.")
        if len(self._buffer) < size:
            return None
        frame = Frame(kind, channel, bytes(self._buffer[begin:size]))
        del self._buffer[:size]
        return frame


def frame_bytes(channel: int, body: bytes, *, kind: int = 0) -> bytes:
    """Encode a frame; `kind` 1 is SASL."""
    return _HEADER.pack(_HEADER.size + len(body), _OFFSET_MIN, kind, channel) + body
