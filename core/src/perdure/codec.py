"""The one door between records and messages and their bytes.

    offset  0      1        2        3..6                       7…
            0xD7   major    codec    crc32 of the rest,         msgpack
                                     major and codec included

These seven bytes are the same for every release, so that damage is told from news: bytes whose checksum is wrong raise
Corrupt, sound ones of a newer major, of another codec or with an unknown event number raise TooNew. Neither overwrites
anything. Fields are only ever appended, so an older reader skips what it does not know of a newer minor change, and a
newer reader fills in defaults.
"""

from __future__ import annotations

import base64
import functools
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

import msgspec
from msgspec import inspect

from perdure import events
from perdure.errors import Corrupt, Misuse, TooNew
from perdure.messages import Message
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["decode_message", "decode_record", "encode", "export_lines", "import_lines"]

_MAGIC = 0xD7
_MAJOR = 1
_CODEC_MSGPACK = 1
_USUAL = zlib.crc32(bytes((_MAJOR, _CODEC_MSGPACK)))
"""Where the checksum of a body goes on from: it covers the header, too."""
_HEADER = struct.Struct(">BBBI")
_PLAIN = "$msgpack"
_REFERENCE = "$payload"
_EVENTS = frozenset(kind.__name__ for kind in get_args(events.HistoryEvent))
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
"""JSON has no such numbers: they are written as text."""
_LEVELS_SPARE = 64

_T = TypeVar("_T")

_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(TurnRecord)
_message_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(value: TurnRecord | Message) -> bytes:
    """Write a record or a message."""
    body = _encoder.encode(value)
    return _HEADER.pack(_MAGIC, _MAJOR, _CODEC_MSGPACK, _checksum(_MAJOR, _CODEC_MSGPACK, body)) + body


def _checksum(major: int, codec: int, body: bytes | memoryview) -> int:
    is_usual = major == _MAJOR and codec == _CODEC_MSGPACK
    return zlib.crc32(body, _USUAL if is_usual else zlib.crc32(bytes((major, codec))))


def decode_record(data: bytes, *, where: str) -> TurnRecord:
    """Read a record.

    Args:
        data: What `encode` wrote.
        where: For people: which record of which instance, named in errors.

    Raises:
        Corrupt: Stop, tell a person.
        TooNew: Leave it to a newer worker.
    """
    return _decode(data, _record_decoder, where)


def decode_message(data: bytes, *, where: str) -> Message:
    """Read a message; as `decode_record`."""
    return _decode(data, _message_decoder, where)


def _decode(data: bytes, decoder: msgspec.msgpack.Decoder[_T], where: str) -> _T:
    try:
        return decoder.decode(_body(data, where))
    except msgspec.ValidationError as problem:
        # The crc is right, so these bytes were written so: by a release that knows more than this one.
        raise TooNew(f"{where} holds what this release does not know ({problem}): use a newer worker.") from problem
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Corrupt(f"{where} is no msgpack although its checksum is right: {problem}.") from problem


def _body(data: bytes, where: str) -> memoryview:
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        raise Corrupt(f"{where} does not begin like a record of Perdure: {data[:8]!r} ({len(data)} bytes).")
    _, major, codec, recorded = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size :]
    found = _checksum(major, codec, body)
    if found != recorded:
        raise Corrupt(f"{where} is damaged: its checksum is {found:08x}, {recorded:08x} was recorded.")
    if (major, codec) != (_MAJOR, _CODEC_MSGPACK):
        raise TooNew(f"{where} has format {major} and codec {codec}, this release reads 1 and 1: use a newer worker.")
    return body


def export_lines(records: Iterable[TurnRecord]) -> Iterator[str]:
    """Write a history as JSON lines, one record each, with every field by its name.

    Payloads appear as JSON where that loses nothing, else as `{"$msgpack": base64}`; payloads out of line as
    `{"$payload": …}`: resolve them first for an export that stands alone.
    """
    for record in records:
        yield msgspec.json.encode(_named(record)).decode()


def import_lines(lines: Iterable[str]) -> Iterator[TurnRecord]:
    """Read what `export_lines` wrote, of this or an earlier release.

    Raises:
        Misuse: A line is not such a record; the message has its number. Use an export of `perdure history --json`.
        TooNew: It holds an event that this release does not know.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _import_line(line, number)


def _import_line(line: str, number: int) -> TurnRecord:
    try:
        return msgspec.convert(_positional(msgspec.json.decode(line), _record_type()), TurnRecord)
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError, RecursionError) as problem:
        raise Misuse(
            f"Line {number} of the history is not a record of `perdure history --json`: {problem!r}."
        ) from problem


@functools.cache
def _record_type() -> inspect.StructType:
    kind = inspect.type_info(TurnRecord)
    assert isinstance(kind, inspect.StructType)
    return kind


def _named(value: Any) -> Any:
    """Turn structs into objects with names, and payload bytes into something a person can read."""
    if isinstance(value, bytes):
        return _plain_payload(value)
    if isinstance(value, events.PayloadRef):
        return {_REFERENCE: [value.name, value.length, value.digest]}
    if isinstance(value, msgspec.Struct):
        named = {name: _named(getattr(value, name)) for name in value.__struct_fields__}
        return {"event": type(value).__name__, **named} if type(value).__name__ in _EVENTS else named
    if isinstance(value, tuple):
        return [_named(member) for member in cast("tuple[object, ...]", value)]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _plain_payload(data: bytes) -> Any:
    try:
        plain = msgspec.msgpack.decode(data)
        lossless = msgspec.msgpack.encode(_through_json(plain)) == data
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        lossless, plain = False, None
    if lossless and not any(str(key).startswith("$") for key in _object(plain)):
        return plain
    return {_PLAIN: base64.b64encode(data).decode("ascii")}


def _through_json(plain: Any) -> Any:
    """Write to JSON and read back, deeper than in a line: what only just fits here may not fit there."""
    for _ in range(_LEVELS_SPARE):
        plain = [plain]
    again = msgspec.json.decode(msgspec.json.encode(plain))
    for _ in range(_LEVELS_SPARE):
        again = again[0]
    return again


def _object(value: Any) -> dict[object, Any]:
    """Give an object; an empty one for everything else."""
    return cast("dict[object, Any]", value) if isinstance(value, dict) else {}


def _positional(value: Any, kind: inspect.StructType) -> list[Any]:
    """Turn an object with names into the array form of a struct; the inverse of `_named`."""
    if not isinstance(value, dict):
        raise TypeError(f"{kind.cls.__name__} is an object, not {value!r:.80}")
    members = _object(value)
    body = [_field(members, field) for field in kind.fields]
    return body if kind.tag is None else [kind.tag, *body]


def _field(value: dict[object, Any], field: inspect.Field) -> Any:
    if field.name in value:
        return _restored(value[field.name], field.type)
    if field.required:
        raise KeyError(field.name)
    # An earlier release did not have it yet.
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _restored(value: Any, kind: inspect.Type) -> Any:
    match kind:
        case inspect.StructType():
            return _positional(value, kind)
        case inspect.VarTupleType():
            return [_restored(member, kind.item_type) for member in value]
        case inspect.FloatType():
            return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
        case inspect.UnionType():
            return _restored_union(value, kind)
        case _:
            return value


def _restored_union(value: Any, kind: inspect.UnionType) -> Any:
    if any(isinstance(each, inspect.BytesType) for each in kind.types):
        return _payload_bytes(value)
    if value is None:
        return None
    structs = [each for each in kind.types if isinstance(each, inspect.StructType)]
    if not structs:
        return value
    return _positional(value, structs[0] if len(structs) == 1 else _named_kind(value["event"], structs))


def _named_kind(name: str, structs: list[inspect.StructType]) -> inspect.StructType:
    for each in structs:
        if each.cls.__name__ == name:
            return each
    if name in _EVENTS:
        raise ValueError(f"{name} does not stand here")
    raise TooNew(f"The history holds an event {name!r} that this release does not know: use a newer one.")


def _payload_bytes(value: Any) -> bytes | list[Any]:
    members = _object(value)
    if _PLAIN in members:
        return base64.b64decode(members[_PLAIN], validate=True)
    if _REFERENCE in members:
        reference: list[Any] = members[_REFERENCE]
        return reference
    return msgspec.msgpack.encode(value)
