"""The one door between records and messages and their bytes.

    offset  0      1        2        3..6            7…
            0xD7   major    codec    crc32, big-end. msgpack

Readers refuse a newer major, another codec or an unknown event number with TooNew, and damaged bytes with Corrupt;
neither overwrites anything. Fields are only ever appended, so an older reader skips what it does not know of a newer
minor change, and a newer reader fills in defaults.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import msgspec

from perdure import events
from perdure.errors import Corrupt, Failure, Misuse, TooNew
from perdure.messages import Message
from perdure.records import TurnRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["decode_message", "decode_record", "encode", "export_lines", "import_lines"]

_MAGIC = 0xD7
_MAJOR = 1
_CODEC_MSGPACK = 1
_HEADER = struct.Struct(">BBBI")
_PLAIN = "$msgpack"
_REFERENCE = "$payload"
_PAYLOADS = frozenset({"input", "result"})
_NESTED: dict[str, type[msgspec.Struct]] = {
    "failure": Failure,
    "cause": Failure,
    "context": Failure,
    "parent": events.Parent,
    "retry": events.RetryRules,
}
_EVENTS: dict[str, type[msgspec.Struct]] = {kind.__name__: kind for kind in get_args(events.HistoryEvent)}

_T = TypeVar("_T")

_encoder = msgspec.msgpack.Encoder()
_record_decoder = msgspec.msgpack.Decoder(TurnRecord)
_message_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(value: TurnRecord | Message) -> bytes:
    """Write a record or a message."""
    body = _encoder.encode(value)
    return _HEADER.pack(_MAGIC, _MAJOR, _CODEC_MSGPACK, zlib.crc32(body)) + body


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
    except msgspec.DecodeError as problem:
        raise Corrupt(f"{where} is no msgpack although its checksum is right: {problem}.") from problem


def _body(data: bytes, where: str) -> memoryview:
    if len(data) < _HEADER.size or data[0] != _MAGIC:
        raise Corrupt(f"{where} does not begin like a record of Perdure: {data[:8]!r} ({len(data)} bytes).")
    _, major, codec, crc = _HEADER.unpack_from(data)
    if major > _MAJOR or codec != _CODEC_MSGPACK:
        raise TooNew(f"{where} has format {major} and codec {codec}, this release reads 1 and 1: use a newer worker.")
    body = memoryview(data)[_HEADER.size :]
    if zlib.crc32(body) != crc:
        raise Corrupt(f"{where} is damaged: its checksum is {zlib.crc32(body):08x}, {crc:08x} was recorded.")
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
        return msgspec.convert(_positional(msgspec.json.decode(line), TurnRecord), TurnRecord)
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError, AttributeError) as problem:
        raise Misuse(
            f"Line {number} of the history is not a record of `perdure history --json`: {problem!r}."
        ) from problem


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
        return [_named(member) for member in value]
    return value


def _plain_payload(data: bytes) -> Any:
    try:
        plain = msgspec.msgpack.decode(data)
        through_json = msgspec.json.decode(msgspec.json.encode(plain))
        lossless = msgspec.msgpack.encode(through_json) == data
    except (msgspec.MsgspecError, TypeError, ValueError):
        lossless, plain = False, None
    if lossless and not (isinstance(plain, dict) and any(str(key).startswith("$") for key in plain)):
        return plain
    return {_PLAIN: base64.b64encode(data).decode("ascii")}


def _positional(value: Any, struct: type[msgspec.Struct]) -> list[Any]:
    """Turn an object with names into the array form of `struct`; the inverse of `_named`."""
    body = [_field(struct, name, value[name]) for name in struct.__struct_fields__ if name in value]
    tag = struct.__struct_config__.tag
    return body if tag is None else [tag, *body]


def _field(struct: type[msgspec.Struct], name: str, value: Any) -> Any:
    if name in _PAYLOADS and struct.__name__ in _EVENTS:
        return _payload_bytes(value)
    if value is None:
        return None
    if name in {"inputs", "decisions"}:
        return [_positional_event(member) for member in value]
    if name == "turn":
        return _positional_event(value)
    if name == "members":
        return [_positional(member, Failure) for member in value]
    nested = _NESTED.get(name)
    return value if nested is None else _positional(value, nested)


def _positional_event(value: Any) -> list[Any]:
    name = value["event"]
    if name not in _EVENTS:
        raise TooNew(f"The history holds an event {name!r} that this release does not know: use a newer one.")
    return _positional(value, _EVENTS[name])


def _payload_bytes(value: Any) -> bytes | list[Any]:
    if isinstance(value, dict) and _PLAIN in value:
        return base64.b64decode(value[_PLAIN], validate=True)
    if isinstance(value, dict) and _REFERENCE in value:
        reference: list[Any] = value[_REFERENCE]
        return reference
    return msgspec.msgpack.encode(value)
