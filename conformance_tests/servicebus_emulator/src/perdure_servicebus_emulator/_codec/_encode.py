"""Encodes values: one small function for each type; each returns constructor and data."""

from __future__ import annotations

from struct import Struct
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from perdure_servicebus_emulator._codec._values import NULL, DecodeError, Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "array",
    "binary",
    "boolean",
    "described",
    "integer",
    "join_map",
    "list_",
    "list_bytes",
    "long",
    "map_",
    "map_bytes",
    "plain",
    "string",
    "symbol",
    "symbols",
    "timestamp",
    "ubyte",
    "uint",
    "ulong",
    "ushort",
    "uuid",
]

_SMALL = 256
_U8, _I32, _U16, _U32, _U64, _I64, _F64 = (Struct(">" + code) for code in "BiHIQqd")
_SHORT, _LONG = Struct(">BBB"), Struct(">BII")


def boolean(value: bool) -> bytes:  # noqa: FBT001 - It is the value.
    """Encode a truth value."""
    return b"\x41" if value else b"\x42"


def ubyte(value: int) -> bytes:
    """Encode 0 to 255."""
    return b"\x50" + _U8.pack(value)


def ushort(value: int) -> bytes:
    """Encode 0 to 65,535."""
    return b"\x60" + _U16.pack(value)


def uint(value: int) -> bytes:
    """Encode 0 to 2**32 - 1."""
    return b"\x52" + _U8.pack(value) if value < _SMALL else b"\x70" + _U32.pack(value)


def ulong(value: int) -> bytes:
    """Encode 0 to 2**64 - 1."""
    return b"\x53" + _U8.pack(value) if value < _SMALL else b"\x80" + _U64.pack(value)


def integer(value: int) -> bytes:
    """Encode an `int` of AMQP: 32 bits and a sign."""
    return b"\x71" + _I32.pack(value)


def long(value: int) -> bytes:
    """Encode a `long` of AMQP: 64 bits and a sign."""
    return b"\x81" + _I64.pack(value)


def timestamp(seconds: float) -> bytes:
    """Encode a moment; on the wire it is milliseconds since the epoch."""
    return b"\x83" + _I64.pack(round(seconds * 1000))


def uuid(value: UUID) -> bytes:
    """Encode a UUID."""
    return b"\x98" + value.bytes


def binary(value: bytes) -> bytes:
    """Encode bytes."""
    return _sized(b"\xa0", b"\xb0", value)


def string(value: str) -> bytes:
    """Encode text."""
    return _sized(b"\xa1", b"\xb1", value.encode())


def symbol(value: str) -> bytes:
    """Encode a word of the protocol."""
    return _sized(b"\xa3", b"\xb3", value.encode())


def symbols(values: Iterable[str]) -> bytes:
    """Encode an array of symbols."""
    return array(b"\xb3", [_U32.pack(len(value)) + value for value in (value.encode() for value in values)])


def plain(value: object) -> bytes:
    """Encode a value by its Python type; for what has several types in AMQP, the widest: an int becomes a long.

    Raises:
        DecodeError: It came in a type that has no like in Python.
    """
    write = _PLAIN.get(type(value))
    if write is None:
        raise DecodeError(f"{value!r} cannot be written back: give it as text, a number, bytes or a UUID.")
    return write(value)


def _sized(short: bytes, large: bytes, value: bytes) -> bytes:
    if len(value) < _SMALL:
        return short + _U8.pack(len(value)) + value
    return large + _U32.pack(len(value)) + value


def list_(items: Iterable[bytes]) -> bytes:
    """Encode a list of encoded values."""
    items = tuple(items)
    return list_bytes(b"".join(items), len(items))


def list_bytes(body: bytes, count: int) -> bytes:
    """Encode a list of `count` values that are joined already."""
    return _compound(0xC0, 0xD0, count, body)


def map_(pairs: Mapping[bytes, bytes]) -> bytes:
    """Encode a map of encoded keys and values."""
    return map_bytes(b"".join(key + value for key, value in pairs.items()), len(pairs))


def map_bytes(body: bytes, count: int) -> bytes:
    """Encode a map of `count` pairs that are joined already."""
    return _compound(0xC1, 0xD1, 2 * count, body)


def join_map(pairs: Mapping[object, bytes]) -> bytes:
    """Encode a map of pairs that are encoded already: the opposite of `split_map`."""
    return map_bytes(b"".join(pairs.values()), len(pairs))


def _compound(short: int, large: int, count: int, body: bytes) -> bytes:
    if len(body) < _SMALL - 1 and count < _SMALL:
        return _SHORT.pack(short, len(body) + 1, count) + body
    return _LONG.pack(large, len(body) + 4, count) + body


def array(constructor: bytes, items: Iterable[bytes]) -> bytes:
    r"""Encode an array.

    Args:
        constructor: Of every element, for example `b"\x98"` for UUIDs.
        items: Their data, without constructors.
    """
    items = tuple(items)
    body = constructor + b"".join(items)
    return b"\xf0" + _U32.pack(len(body) + 4) + _U32.pack(len(items)) + body


def described(descriptor: int, value: bytes) -> bytes:
    """Encode a value with its descriptor."""
    return b"\x00" + ulong(descriptor) + value


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    bool: boolean,
    bytes: binary,
    float: lambda value: b"\x82" + _F64.pack(value),
    int: long,
    NoneType: lambda _value: NULL,
    str: string,
    Symbol: symbol,
    UUID: uuid,
}
