"""The types of AMQP 1.0 as bytes: small functions that encode one value each, and two tables that decode any.

Encoders return whole values (constructor and data) as bytes, so that a composite is a join of its parts and what is
known already encoded is spliced in as it is. Decoded values are plain: the width of a number is forgotten, a symbol is
a `Symbol`. Who must give a value back exactly as it came keeps its bytes: see `skip` and `split_map`.
"""

from perdure_servicebus_emulator._codec._decode import (
    decode,
    list_bounds,
    skip,
    split_map,
)
from perdure_servicebus_emulator._codec._encode import (
    array,
    binary,
    boolean,
    described,
    integer,
    join_map,
    list_,
    list_bytes,
    long,
    map_,
    map_bytes,
    plain,
    string,
    symbol,
    symbols,
    timestamp,
    ubyte,
    uint,
    ulong,
    ushort,
    uuid,
)
from perdure_servicebus_emulator._codec._values import (
    NULL,
    DecodeError,
    Described,
    Symbol,
)

__all__ = [
    "NULL",
    "DecodeError",
    "Described",
    "Symbol",
    "array",
    "binary",
    "boolean",
    "decode",
    "described",
    "integer",
    "join_map",
    "list_",
    "list_bounds",
    "list_bytes",
    "long",
    "map_",
    "map_bytes",
    "plain",
    "skip",
    "split_map",
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
