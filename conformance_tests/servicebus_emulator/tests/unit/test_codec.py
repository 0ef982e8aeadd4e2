"""Values as bytes: taken from the standard, part 1, and what must not be read."""

from __future__ import annotations

from uuid import UUID

import pytest
from perdure_servicebus_emulator import _codec as codec

ID = UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("encoded", "hexadecimal"),
    [
        pytest.param(codec.NULL, "40", id="null"),
        pytest.param(codec.boolean(value=True), "41", id="true"),
        pytest.param(codec.boolean(value=False), "42", id="false"),
        pytest.param(codec.ubyte(200), "50c8", id="ubyte"),
        pytest.param(codec.ushort(5672), "601628", id="ushort"),
        pytest.param(codec.uint(255), "52ff", id="small uint"),
        pytest.param(codec.uint(256), "7000000100", id="uint"),
        pytest.param(codec.ulong(0x75), "5375", id="small ulong"),
        pytest.param(codec.ulong(2**32), "800000000100000000", id="ulong"),
        pytest.param(codec.integer(-1), "71ffffffff", id="int"),
        pytest.param(codec.long(-2), "81fffffffffffffffe", id="long"),
        pytest.param(codec.timestamp(1.5), "8300000000000005dc", id="timestamp, in ms"),
        pytest.param(codec.uuid(ID), "9800112233445566778899aabbccddeeff", id="uuid"),
        pytest.param(codec.binary(b"\x00"), "a00100", id="binary"),
        pytest.param(codec.string("ü"), "a102c3bc", id="string"),
        pytest.param(codec.symbol("a"), "a30161", id="symbol"),
        pytest.param(codec.list_([codec.NULL, codec.uint(1)]), "c00402405201", id="list"),
        pytest.param(codec.map_({codec.symbol("a"): codec.uint(1)}), "c10602a301615201", id="map"),
        pytest.param(codec.symbols(["a"]), "f00000000a00000001b30000000161", id="array"),
        pytest.param(codec.described(0x24, codec.list_([])), "005324c00100", id="described"),
    ],
)
def test_a_value_is_written_as_the_standard_says(encoded: bytes, hexadecimal: str) -> None:
    assert encoded.hex() == hexadecimal


@pytest.mark.parametrize(
    "value",
    [None, True, False, 2**40, -1, 1.5, b"x" * 300, "ü" * 200, codec.Symbol("word"), ID],
)
def test_what_was_written_is_read_again(value: object) -> None:
    encoded = codec.plain(value)

    assert codec.decode(b"\x40" + encoded, 1) == (value, len(encoded) + 1)
    assert type(codec.decode(encoded)[0]) is type(value)


@pytest.mark.parametrize("length", [0, 1, 255, 256, 70_000])
def test_long_values_have_long_lengths(length: int) -> None:
    whole = codec.list_([codec.binary(b"x" * length), codec.uint(7)])

    assert codec.decode(whole) == ([b"x" * length, 7], len(whole))
    assert codec.skip(whole) == len(whole)


def test_pairs_of_a_map_are_kept_as_they_came() -> None:
    """A number's width is forgotten when it is decoded; a message's annotations must not change on their way."""
    pairs = {codec.symbol("wide"): b"\x80" + bytes(8), codec.symbol("narrow"): b"\x44"}

    split = codec.split_map(codec.map_(pairs))

    assert split == {"wide": codec.symbol("wide") + b"\x80" + bytes(8), "narrow": codec.symbol("narrow") + b"\x44"}
    assert codec.join_map(split) == codec.map_(pairs)


@pytest.mark.parametrize(
    "hexadecimal",
    [
        pytest.param("", id="nothing"),
        pytest.param("ff", id="a constructor that is not in the standard"),
        pytest.param("a105ab", id="text that ends early"),
        pytest.param("a101ff", id="text that is no UTF-8"),
        pytest.param("c0030240", id="a list that ends early"),
        pytest.param("c003014040", id="a list with more in it than it counts"),
        pytest.param("c1020140", id="a map with a key without a value"),
        pytest.param("f0000000050100000040", id="an array of millions of nulls in no bytes"),
        pytest.param("00" * 100, id="a descriptor of a descriptor, without end"),
    ],
)
def test_what_is_no_value_is_refused(hexadecimal: str) -> None:
    with pytest.raises(codec.DecodeError):
        codec.decode(bytes.fromhex(hexadecimal))


def test_values_are_nested_so_deep_and_no_deeper() -> None:
    """A frame of 64 KiB has room for lists in lists that no stack has."""
    nested = codec.NULL
    for _ in range(32):
        nested = codec.list_([nested])
    assert codec.decode(nested)[1] == len(nested)

    with pytest.raises(codec.DecodeError, match="nested"):
        codec.decode(codec.list_([nested]))


def test_what_has_no_like_in_python_is_not_written() -> None:
    with pytest.raises(codec.DecodeError, match="cannot be written back"):
        codec.plain([1])
