"""Frames as values, and what they are made of: one class each, and one row of the table `_WIRE`, as in the standard.

`encode` writes every field, also those that end a list and are null: older clients index them without a look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._codec import NULL, DecodeError, Described

__all__ = [
    "Accepted",
    "AmqpError",
    "Attach",
    "Begin",
    "Close",
    "Composite",
    "Detach",
    "Disposition",
    "End",
    "Flow",
    "Frame",
    "Modified",
    "Open",
    "Outcome",
    "Received",
    "Rejected",
    "Released",
    "SaslInit",
    "SaslMechanisms",
    "SaslOutcome",
    "Source",
    "Target",
    "Transfer",
    "decode",
    "encode",
]

_UINT_MAX = 2**32 - 1

Map = Mapping[object, object]


class AmqpError(NamedTuple):
    """Why something was refused or ended. The Azure SDK reads all three elements: `info` is never null."""

    condition: str
    description: str | None = None
    info: Map | None = None


class Accepted(NamedTuple):
    """Of a sent message: it is stored. Of a received one: it is complete."""


class Rejected(NamedTuple):
    """Of a sent message: it is refused. Of a received one: it goes to the dead-letter queue."""

    error: AmqpError | None = None


class Released(NamedTuple):
    """It was not looked at: give it back, as if it had not been delivered."""


class Modified(NamedTuple):
    """Give it back as a failed delivery, or, undeliverable here, put it aside: defer it."""

    delivery_failed: bool = False
    undeliverable_here: bool = False
    message_annotations: Map | None = None


class Received(NamedTuple):
    """How far a delivery has come; nothing here depends on it."""

    section_number: int
    section_offset: int


Outcome = Accepted | Rejected | Released | Modified | Received


class Source(NamedTuple):
    """Where messages of a link come from."""

    address: str | None = None
    durable: int = 0
    expiry_policy: str | None = None
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: Map | None = None
    distribution_mode: str | None = None
    filter: Map | None = None
    default_outcome: object = None
    outcomes: object = None
    capabilities: object = None


class Target(NamedTuple):
    """Where messages of a link go."""

    address: str | None = None
    durable: int = 0
    expiry_policy: str | None = None
    timeout: int = 0
    dynamic: bool = False
    dynamic_node_properties: Map | None = None
    capabilities: object = None


class Open(NamedTuple):
    """Begins a connection."""

    container_id: str
    hostname: str | None = None
    max_frame_size: int = _UINT_MAX
    channel_max: int = 65_535
    idle_time_out: int | None = None
    outgoing_locales: object = None
    incoming_locales: object = None
    offered_capabilities: object = None
    desired_capabilities: object = None
    properties: Map | None = None


class Begin(NamedTuple):
    """Begins a session."""

    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int = _UINT_MAX
    offered_capabilities: object = None
    desired_capabilities: object = None
    properties: Map | None = None


class Attach(NamedTuple):
    """Begins a link. `role`: true says "I receive"."""

    name: str
    handle: int
    role: bool
    snd_settle_mode: int = 2
    rcv_settle_mode: int = 0
    source: Source | None = None
    target: Target | Described | None = None
    unsettled: Map | None = None
    incomplete_unsettled: bool = False
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: object = None
    desired_capabilities: object = None
    properties: Map | None = None


class Flow(NamedTuple):
    """Tells windows, and credit of a link."""

    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool = False
    echo: bool = False
    properties: Map | None = None


class Transfer(NamedTuple):
    """Carries a message or, while `more`, a part of it; its bytes follow the frame's fields."""

    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool = False
    rcv_settle_mode: int | None = None
    state: Outcome | None = None
    resume: bool = False
    aborted: bool = False
    batchable: bool = False


class Disposition(NamedTuple):
    """Tells what became of deliveries `first` to `last`. `role`: true says "I received them"."""

    role: bool
    first: int
    last: int | None = None
    settled: bool = False
    state: Outcome | None = None
    batchable: bool = False


class Detach(NamedTuple):
    """Ends a link."""

    handle: int
    closed: bool = False
    error: AmqpError | None = None


class End(NamedTuple):
    """Ends a session."""

    error: AmqpError | None = None


class Close(NamedTuple):
    """Ends a connection."""

    error: AmqpError | None = None


class SaslMechanisms(NamedTuple):
    """Offers ways to sign in."""

    mechanisms: object


class SaslInit(NamedTuple):
    """Chooses one."""

    mechanism: str
    initial_response: bytes | None = None
    hostname: str | None = None


class SaslOutcome(NamedTuple):
    """Tells whether it worked; 0 is yes."""

    code: int
    additional_data: bytes | None = None


Frame = Open | Begin | Attach | Flow | Transfer | Disposition | Detach | End | Close
Composite = Frame | Outcome | AmqpError | Source | Target | SaslMechanisms | SaslInit | SaslOutcome

# Descriptor, class, types of its fields in order; `!`: must be there. A field without `!` that is null or missing has
# the class's default.
_WIRE: dict[int, tuple[type[Any], str]] = {
    0x10: (Open, "string! string uint ushort uint any any any any map"),
    0x11: (Begin, "ushort uint! uint! uint! uint any any map"),
    0x12: (Attach, "string! uint! boolean! ubyte ubyte source target map boolean uint ulong any any map"),
    0x13: (Flow, "uint uint! uint! uint! uint uint uint uint boolean boolean map"),
    0x14: (Transfer, "uint! uint binary uint boolean boolean ubyte outcome boolean boolean boolean"),
    0x15: (Disposition, "boolean! uint! uint boolean outcome boolean"),
    0x16: (Detach, "uint! boolean error"),
    0x17: (End, "error"),
    0x18: (Close, "error"),
    0x1D: (AmqpError, "symbol! string map"),
    0x23: (Received, "uint! ulong!"),
    0x24: (Accepted, ""),
    0x25: (Rejected, "error"),
    0x26: (Released, ""),
    0x27: (Modified, "boolean boolean map"),
    0x28: (Source, "string uint symbol uint boolean map symbol map any any any"),
    0x29: (Target, "string uint symbol uint boolean map any"),
    0x40: (SaslMechanisms, "symbols!"),
    0x41: (SaslInit, "symbol! binary string"),
    0x44: (SaslOutcome, "ubyte! binary"),
}


def _is_int(bits: int) -> Callable[[object], bool]:
    limit = 1 << bits
    return lambda value: isinstance(value, int) and 0 <= value < limit


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _composite(value: Composite) -> bytes:
    return encode(value)


def _pairs(value: Map) -> bytes:
    return codec.map_({codec.plain(key): codec.plain(item) for key, item in value.items()})


# A type of a field: how it is written, and what is let in.
_TYPES: dict[str, tuple[Callable[[Any], bytes], Callable[[object], bool]]] = {
    "any": (codec.plain, lambda _value: True),
    "binary": (codec.binary, _is(bytes)),
    "boolean": (codec.boolean, _is(bool)),
    "error": (_composite, _is(AmqpError)),
    "map": (_pairs, _is(dict)),
    "outcome": (_composite, _is(Accepted, Rejected, Released, Modified, Received)),
    "source": (_composite, _is(Source)),
    "string": (codec.string, _is(str)),
    "symbol": (codec.symbol, _is(str)),
    "symbols": (codec.symbols, _is(str, list)),
    "target": (_composite, _is(Target, Described)),  # Described: a coordinator of transactions.
    "ubyte": (codec.ubyte, _is_int(8)),
    "uint": (codec.uint, _is_int(32)),
    "ulong": (codec.ulong, _is_int(64)),
    "ushort": (codec.ushort, _is_int(16)),
}


class _Field(NamedTuple):
    name: str
    write: Callable[[Any], bytes]
    accepts: Callable[[object], bool]
    is_required: bool
    default: object


def _fields(kind: type[Any], types: str) -> tuple[_Field, ...]:
    defaults = kind._field_defaults
    return tuple(
        _Field(name, *_TYPES[type_.rstrip("!")], type_.endswith("!"), defaults.get(name))
        for name, type_ in zip(kind._fields, types.split(), strict=True)
    )


_BY_CODE = {code: (kind, _fields(kind, types)) for code, (kind, types) in _WIRE.items()}
_BY_KIND = {kind: (code, fields) for code, (kind, fields) in _BY_CODE.items()}


def encode(value: Composite) -> bytes:
    """Encode a frame's fields, an outcome or an end of a link, every field of it."""
    code, fields = _BY_KIND[type(value)]
    items = [NULL if item is None else field.write(item) for item, field in zip(value, fields, strict=True)]
    return codec.described(code, codec.list_(items))


def decode(body: bytes) -> tuple[Composite, bytes]:
    """Read a frame's body.

    Returns:
        The frame, and the bytes after its fields: the payload of a transfer.

    Raises:
        DecodeError: It is none; the message says what is wrong with it.
    """
    value, end = codec.decode(body)
    composed = _compose(value)
    if not isinstance(composed, tuple) or isinstance(composed, Described):
        raise DecodeError(f"A frame's body begins with {composed!r}: no frame of AMQP.")
    return cast("Composite", composed), body[end:]


def _compose(value: object) -> object:
    """Turn described lists into values of our classes, inside out; what is not in the table stays as it is."""
    if not isinstance(value, Described):
        return value
    found = _BY_CODE.get(value.descriptor) if isinstance(value.descriptor, int) else None
    if found is None:
        return value
    kind, fields = found
    content = value.value
    items = cast("list[object]", content) if isinstance(content, list) else None
    if items is None or len(items) > len(fields):
        raise DecodeError(f"{kind.__name__} is a list of at most {len(fields)} fields, not {items!r}.")
    items += [None] * (len(fields) - len(items))
    return kind(*[_checked(kind, field, _compose(item)) for field, item in zip(fields, items, strict=True)])


def _checked(kind: type, field: _Field, value: object) -> object:
    if value is None:
        if field.is_required:
            raise DecodeError(f"{kind.__name__} lacks its {field.name}.")
        return field.default
    if not field.accepts(value):
        raise DecodeError(f"{kind.__name__} has the {field.name} {value!r}: it cannot be that.")
    return value
