"""Decodes values: a table of what each constructor is read by, and one of where its data ends."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct, error
from uuid import UUID

from perdure_servicebus_emulator._codec._values import DecodeError, Described, Symbol

__all__ = ["decode", "list_bounds", "skip", "split_map"]

_DEPTH_MAX = 32  # The deepest value of a real frame is about six; a stack of thousands is an attack.
_COUNT_MAX = 65_536  # An array of nulls needs no bytes for its elements: only a limit bounds it.

_U8, _I8, _U16, _I16, _U32, _I32 = (Struct(">" + code) for code in "BbHhIi")
_U64, _I64, _F32, _F64 = (Struct(">" + code) for code in "Qqfd")

_Reader = Callable[[bytes, int, int], tuple[object, int]]


def decode(data: bytes, at: int = 0) -> tuple[object, int]:
    """Read one value.

    Args:
        data: What holds it.
        at: Where it begins.

    Returns:
        The value and where the next one begins. Numbers are int or float, binary is bytes, a timestamp is its
        milliseconds; a value of a type without its like in Python (decimals) is its bytes.

    Raises:
        DecodeError: There is none.
    """
    try:
        return _read(data, at, 0)
    except (IndexError, KeyError, TypeError, error, UnicodeDecodeError) as exc:
        raise DecodeError(f"No AMQP value begins at byte {at} of {len(data)}: {exc!r}") from exc


def skip(data: bytes, at: int = 0) -> int:
    """Find where the value that begins at `at` ends; what is inside of it is not looked at.

    Raises:
        DecodeError: There is none.
    """
    end = _end(data, at, 0)
    if end > len(data):
        raise DecodeError(f"The value at byte {at} ends at {end}, of {len(data)} bytes.")
    return end


def split_map(data: bytes, at: int = 0) -> dict[object, bytes]:
    """Read a map's keys and keep its pairs as bytes.

    Returns:
        For each key its pair, key and value, as it came: `decode` it from `skip(pair)` on for the value.

    Raises:
        DecodeError: There is no map.
    """
    try:
        code = data[at]
        end, count, at = _header(data, at + 1, wide=_IS_WIDE_MAP[code])
        pairs: dict[object, bytes] = {}
        for _ in range(count // 2):
            key, value_at = _read(data, at, 0)
            after = skip(data, value_at)
            pairs[key] = data[at:after]
            at = after
    except (IndexError, KeyError, TypeError, error, UnicodeDecodeError) as exc:
        raise DecodeError(f"No map begins at byte {at} of {len(data)}: {exc!r}") from exc
    if at != end or count % 2:
        raise DecodeError(f"A map of {count} values ends at byte {at}, its size says {end}.")
    return pairs


def list_bounds(data: bytes, at: int = 0) -> tuple[int, int]:
    """Find where a list's first value begins and its last one ends.

    Raises:
        DecodeError: There is no list.
    """
    try:
        if data[at] == _EMPTY_LIST:
            return at + 1, at + 1
        end, _count, first = _header(data, at + 1, wide=_IS_WIDE_LIST[data[at]])
    except (IndexError, KeyError, error) as exc:
        raise DecodeError(f"No list begins at byte {at} of {len(data)}: {exc!r}") from exc
    return first, end


_EMPTY_LIST = 0x45
_IS_WIDE_LIST = {0xC0: False, 0xD0: True}
_IS_WIDE_MAP = {0xC1: False, 0xD1: True}


def _read(data: bytes, at: int, depth: int) -> tuple[object, int]:
    return _READERS[data[at]](data, at + 1, depth)


def _end(data: bytes, at: int, depth: int) -> int:
    """Find a value's end by its constructor's first digit, which tells its size: a number, or a length to read."""
    try:
        code = data[at]
        if code == 0:
            if depth > _DEPTH_MAX:
                raise DecodeError(f"Values are nested more than {_DEPTH_MAX} deep.")
            return _end(data, _end(data, at + 1, depth + 1), depth + 1)
        size, length = _SIZES[code >> 4]
        return at + 1 + size + (length.unpack_from(data, at + 1)[0] if length else 0)
    except (IndexError, KeyError, error) as exc:
        raise DecodeError(f"No AMQP value begins at byte {at} of {len(data)}: {exc!r}") from exc


_SIZES: dict[int, tuple[int, Struct | None]] = {
    0x4: (0, None),
    0x5: (1, None),
    0x6: (2, None),
    0x7: (4, None),
    0x8: (8, None),
    0x9: (16, None),
    0xA: (1, _U8),
    0xB: (4, _U32),
    0xC: (1, _U8),
    0xD: (4, _U32),
    0xE: (1, _U8),
    0xF: (4, _U32),
}


def _constant(value: object) -> _Reader:
    return lambda _data, at, _depth: (value, at)


def _number(struct: Struct) -> _Reader:
    unpack, size = struct.unpack_from, struct.size
    return lambda data, at, _depth: (unpack(data, at)[0], at + size)


def _bytes(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    end = at + length
    if end > len(data):
        raise DecodeError(f"{length} bytes at byte {at} of {len(data)}: they end too early.")
    return data[at:end], end


def _fixed(length: int) -> _Reader:
    return lambda data, at, _depth: _bytes(data, at, length)


def _uuid(data: bytes, at: int, _depth: int) -> tuple[UUID, int]:
    value, end = _bytes(data, at, 16)
    return UUID(bytes=value), end


def _char(data: bytes, at: int, _depth: int) -> tuple[str, int]:
    value, end = _bytes(data, at, 4)
    return value.decode("utf-32-be"), end


def _boolean(data: bytes, at: int, _depth: int) -> tuple[bool, int]:
    return data[at] != 0, at + 1


def _variable(length: Struct, convert: Callable[[bytes], object]) -> _Reader:
    def read(data: bytes, at: int, _depth: int) -> tuple[object, int]:
        value, end = _bytes(data, at + length.size, length.unpack_from(data, at)[0])
        return convert(value), end

    return read


def _text(value: bytes) -> str:
    return value.decode()


def _word(value: bytes) -> Symbol:
    return Symbol(value.decode())


def _header(data: bytes, at: int, *, wide: bool) -> tuple[int, int, int]:
    """Read size and count of a compound: where it must end, how many values it has, where the first begins."""
    width = _U32 if wide else _U8
    size, count = width.unpack_from(data, at)[0], width.unpack_from(data, at + width.size)[0]
    end = at + width.size + size
    if count > _COUNT_MAX or end > len(data):
        raise DecodeError(f"{count} values in {size} bytes at byte {at} of {len(data)}: too many.")
    return end, count, at + 2 * width.size


def _list(data: bytes, at: int, depth: int, *, wide: bool) -> tuple[list[object], int]:
    if depth >= _DEPTH_MAX:
        raise DecodeError(f"Values are nested more than {_DEPTH_MAX} deep.")
    end, count, at = _header(data, at, wide=wide)
    values: list[object] = []
    for _ in range(count):
        value, at = _READERS[data[at]](data, at + 1, depth + 1)
        values.append(value)
    if at != end:
        raise DecodeError(f"A list of {count} values ends at byte {at}, its size says {end}.")
    return values, at


def _map(data: bytes, at: int, depth: int, *, wide: bool) -> tuple[dict[object, object], int]:
    values, end = _list(data, at, depth, wide=wide)
    if len(values) % 2:
        raise DecodeError("A map has a key without a value.")
    return dict(zip(values[::2], values[1::2], strict=True)), end


def _array(data: bytes, at: int, depth: int, *, wide: bool) -> tuple[list[object], int]:
    if depth >= _DEPTH_MAX:
        raise DecodeError(f"Values are nested more than {_DEPTH_MAX} deep.")
    end, count, at = _header(data, at, wide=wide)
    descriptor: list[object] = []
    while data[at] == 0 and count:
        if descriptor:
            raise DecodeError("The elements of an array have two descriptors.")
        value, at = _read(data, at + 1, depth + 1)
        descriptor.append(value)
    reader, at = _READERS[data[at]], at + 1
    values: list[object] = []
    for _ in range(count):
        value, at = reader(data, at, depth + 1)
        values.append(Described(descriptor[0], value) if descriptor else value)
    if at != end:
        raise DecodeError(f"An array of {count} values ends at byte {at}, its size says {end}.")
    return values, at


def _described(data: bytes, at: int, depth: int) -> tuple[Described, int]:
    if depth >= _DEPTH_MAX:
        raise DecodeError(f"Values are nested more than {_DEPTH_MAX} deep.")
    descriptor, at = _read(data, at, depth + 1)
    value, at = _read(data, at, depth + 1)
    return Described(descriptor, value), at


def _wide(read: Callable[..., tuple[object, int]], *, wide: bool) -> _Reader:
    return lambda data, at, depth: read(data, at, depth, wide=wide)


def _empty(_data: bytes, at: int, _depth: int) -> tuple[list[object], int]:
    return [], at


_READERS: dict[int, _Reader] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),  # noqa: FBT003 - It is the value.
    0x42: _constant(False),  # noqa: FBT003
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: _empty,
    0x50: _number(_U8),
    0x51: _number(_I8),
    0x52: _number(_U8),
    0x53: _number(_U8),
    0x54: _number(_I8),
    0x55: _number(_I8),
    0x56: _boolean,
    0x60: _number(_U16),
    0x61: _number(_I16),
    0x70: _number(_U32),
    0x71: _number(_I32),
    0x72: _number(_F32),
    0x73: _char,
    0x74: _fixed(4),
    0x80: _number(_U64),
    0x81: _number(_I64),
    0x82: _number(_F64),
    0x83: _number(_I64),
    0x84: _fixed(8),
    0x94: _fixed(16),
    0x98: _uuid,
    0xA0: _variable(_U8, bytes),
    0xA1: _variable(_U8, _text),
    0xA3: _variable(_U8, _word),
    0xB0: _variable(_U32, bytes),
    0xB1: _variable(_U32, _text),
    0xB3: _variable(_U32, _word),
    0xC0: _wide(_list, wide=False),
    0xC1: _wide(_map, wide=False),
    0xD0: _wide(_list, wide=True),
    0xD1: _wide(_map, wide=True),
    0xE0: _wide(_array, wide=False),
    0xF0: _wide(_array, wide=True),
}
