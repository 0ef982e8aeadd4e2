"""A message as the broker keeps it: cut into its sections, never encoded anew.

What the broker must know is read, once: time to live, ids, when it is due. What it may change (the header, annotations,
the reason of a dead letter) is kept as pairs of bytes. Properties and body are bytes and leave as they came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._codec import NULL, DecodeError
from perdure_servicebus_emulator._errors import Condition, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["BATCH_FORMAT", "Content", "cut", "cut_batch", "encode", "pair_value", "read", "text_pairs"]

BATCH_FORMAT = 0x80013700  # A message whose data sections are messages: https://aka.ms/servicebus-amqp, "batch".

# Descriptors of sections, in their order; delivery annotations (0x71) end with the hop and are dropped.
_HEADER, _NOTES, _PROPERTIES, _TEXTS, _BODY, _FOOTER = 0x70, 0x72, 0x73, 0x74, 0x75, 0x78
_DATA = _BODY  # The first kind of body; 0x76 is sequences, 0x77 a value.
_MESSAGE_ID, _GROUP_ID = 0, 10  # Places in the properties.
_TTL = 2  # Place in the header.
_HEADER_FIELDS = 4  # Kept of it; the fifth is the delivery count, which is ours.
_MILLI = 1000
_NO_TTL = 2**32 - 1  # The widest uint: clients send it for "for ever".

# Annotations that are the broker's alone: what a client sends under these names is dropped.
_OURS = frozenset({
    "x-opt-sequence-number",
    "x-opt-enqueued-time",
    "x-opt-locked-until",
    "x-opt-message-state",
    "x-opt-deadletter-source",
})  # fmt: skip


@dataclass(slots=True)
class Content:
    """A message, cut.

    `notes` and `texts` are message annotations and application properties: pairs of bytes by their keys.
    `message_id` is the id's encoded bytes: ids of different types are different.
    """

    size: int
    header: bytes = NULL * _HEADER_FIELDS
    ttl_seconds: float | None = None
    notes: dict[object, bytes] = field(default_factory=dict[object, bytes])
    properties: bytes = b""
    message_id: bytes | None = None
    session_id: str | None = None
    texts: bytes | dict[object, bytes] = b""
    body: bytes = b""

    @property
    def scheduled_for(self) -> float | None:
        """When it is due, in seconds since the epoch; None: at once."""
        pair = self.notes.get("x-opt-scheduled-enqueue-time")
        value = None if pair is None else pair_value(pair)
        return value / _MILLI if isinstance(value, int) else None

    def limit_ttl(self, seconds: float) -> None:
        """Write into the header how long the message lives here, if it asked for more."""
        if self.ttl_seconds is not None and seconds < self.ttl_seconds:
            pieces = _pieces(codec.list_bytes(self.header, _HEADER_FIELDS), 0)
            pieces[_TTL] = codec.uint(round(seconds * _MILLI))
            self.header, self.ttl_seconds = b"".join(pieces), seconds

    def add_texts(self, pairs: Mapping[object, bytes]) -> None:
        """Set application properties."""
        if not pairs:
            return
        if isinstance(self.texts, bytes):
            self.texts = codec.split_map(self.texts, _section_value(self.texts)) if self.texts else {}
        self.texts.update(pairs)


def pair_value(pair: bytes) -> object:
    """Read the value of a pair of a map."""
    return codec.decode(pair, codec.skip(pair))[0]


def text_pairs(texts: Mapping[Any, object]) -> dict[object, bytes]:
    """Encode application properties.

    Raises:
        Refused: A value has a type that they cannot have.
    """
    try:
        return {str(key): codec.string(str(key)) + codec.plain(value) for key, value in texts.items()}
    except DecodeError as exc:
        raise Refused(Condition.ARGUMENT, str(exc)) from exc


def read(raw: bytes, bytes_max: int) -> Content:
    """Cut a message that a client sent.

    Raises:
        Refused: It is none, or longer than that.
    """
    if len(raw) > bytes_max:
        raise Refused(
            Condition.MESSAGE_SIZE,
            f"The received message (size: {len(raw)} bytes) exceeds the limit ({bytes_max} bytes) of the queue.",
        )
    try:
        return cut(raw)
    except DecodeError as exc:
        raise Refused(Condition.DECODE, str(exc)) from exc


def cut(raw: bytes) -> Content:
    """Cut a message.

    Raises:
        DecodeError: It is none.
    """
    content = Content(size=len(raw))
    for code, begin, value_at, end in _sections(raw):
        if code == _HEADER:
            _cut_header(content, raw, value_at)
        elif code == _NOTES:
            notes = codec.split_map(raw, value_at)
            content.notes = {key: pair for key, pair in notes.items() if key not in _OURS}
        elif code == _PROPERTIES:
            _cut_properties(content, raw, begin, value_at, end)
        elif code == _TEXTS:
            content.texts = raw[begin:end]
            codec.split_map(raw, value_at)  # The reason of a dead letter is added later, when nobody can be told.
        elif code >= _BODY:
            content.body = raw[begin:]
            _check_rest(raw, begin)
            break
    return content


def cut_batch(raw: bytes) -> list[bytes]:
    """Take the messages out of a batch.

    Raises:
        DecodeError: A data section holds no bytes.
    """
    messages: list[bytes] = []
    for code, _begin, value_at, _end in _sections(raw):
        if code == _DATA:
            value, _ = codec.decode(raw, value_at)
            if not isinstance(value, bytes):
                raise DecodeError("A data section of a batch holds no bytes.")
            messages.append(value)
    return messages


def encode(content: Content, delivery_count: int, notes: bytes, notes_count: int) -> bytes:
    """Write a message for a receiver.

    Args:
        content: What was sent.
        delivery_count: How often it was delivered without success.
        notes: Annotations of the broker, encoded pairs.
        notes_count: How many pairs these are.
    """
    header = codec.list_bytes(content.header + codec.uint(delivery_count), _HEADER_FIELDS + 1)
    all_notes = b"".join(content.notes.values()) + notes
    texts = content.texts
    if isinstance(texts, dict):
        texts = codec.described(_TEXTS, codec.join_map(texts)) if texts else b""
    return b"".join((
        b"\x00\x53\x70",
        header,
        b"\x00\x53\x72",
        codec.map_bytes(all_notes, len(content.notes) + notes_count),
        content.properties,
        texts,
        content.body,
    ))  # fmt: skip


def _sections(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Find sections: descriptor, begin, where its value begins, end."""
    at = 0
    while at < len(raw):
        value_at = _section_value(raw, at)
        end = codec.skip(raw, value_at)
        code = raw[at + 2] if value_at == at + 3 else _code(raw, at)
        yield code, at, value_at, end
        at = end


def _section_value(raw: bytes, at: int = 0) -> int:
    return at + 3 if raw[at : at + 2] == b"\x00\x53" else codec.skip(raw, at + 1)


def _code(raw: bytes, at: int) -> int:
    value, _ = codec.decode(raw, at + 1)
    if raw[at] != 0 or not isinstance(value, int):
        raise DecodeError(f"No section of a message begins at byte {at} of {len(raw)}.")
    return value


def _cut_header(content: Content, raw: bytes, at: int) -> None:
    pieces = _pieces(raw, at)[:_HEADER_FIELDS]
    pieces += [NULL] * (_HEADER_FIELDS - len(pieces))
    content.header = b"".join(pieces)
    ttl = codec.decode(pieces[_TTL])[0]
    if isinstance(ttl, int) and 0 <= ttl < _NO_TTL:
        content.ttl_seconds = ttl / _MILLI


def _cut_properties(content: Content, raw: bytes, begin: int, value_at: int, end: int) -> None:
    content.properties = raw[begin:end]
    pieces = _pieces(raw, value_at)
    if pieces and pieces[_MESSAGE_ID] != NULL:
        content.message_id = pieces[_MESSAGE_ID]
    if len(pieces) > _GROUP_ID:
        group = codec.decode(pieces[_GROUP_ID])[0]
        content.session_id = group if isinstance(group, str) else None


def _pieces(raw: bytes, at: int) -> list[bytes]:
    """Cut a list into its encoded items."""
    pieces, at, end = list[bytes](), *codec.list_bounds(raw, at)
    while at < end:
        after = codec.skip(raw, at)
        pieces.append(raw[at:after])
        at = after
    if at != end:
        raise DecodeError(f"The last value of a list ends at byte {at}, its size says {end}.")
    return pieces


def _check_rest(raw: bytes, at: int) -> None:
    """A body that cannot be cut would break the receivers that read it: the sender is told instead."""
    for code, *_ in _sections(raw[at:]):
        if not _BODY <= code <= _FOOTER:
            raise DecodeError(f"Section 0x{code:x} stands behind the body of a message.")
