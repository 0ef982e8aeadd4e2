"""What comes back of what was recorded: the value that the annotation describes, or a refusal before recording."""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.authoring import activity
from perdure.authoring._data import ValueCodec, encoder
from perdure.errors import Misuse


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Address:
    street: str
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    id: UUID
    amount: Decimal
    addresses: tuple[Address, ...]
    color: Color | None = None
    parent: Order | None = None


class Money(TypedDict):
    amount: int
    currency: str


class Point(NamedTuple):
    x: int
    y: int


class Line(msgspec.Struct):
    start: Point
    end: Point


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


ADDRESS = Address("Main", ["a", "b"])
ORDER = Order(UUID(int=5), Decimal("1.10"), (ADDRESS,), Color.RED, Order(UUID(int=6), Decimal(0), ()))
NAIVE = datetime(2024, 5, 6, 7, 8, 9, 1)  # noqa: DTZ001 - people have them.
LATE = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def codec_of(type_: Any) -> ValueCodec:
    return ValueCodec(type_, subject="The value", root="value")


def round_trip(type_: Any, value: object) -> Any:
    codec = codec_of(type_)
    return codec.decode(codec.encode(value))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (None, None),
        (int, 0),
        (int, -(2**63)),
        (int, 2**64 - 1),
        (bool, False),
        (float, -0.5),
        (float, math.inf),
        (str, ""),
        (str, "ü \U0001f600 \x00"),
        (bytes, b""),
        (bytes, b"\x00\xff"),
        (bytearray, bytearray(b"ab")),
        (datetime, LATE),
        (datetime, NAIVE),
        (date, date(2024, 5, 6)),
        (time, time(7, 8, 9, 1)),
        (timedelta, timedelta(days=2, microseconds=3)),
        (UUID, UUID(int=7)),
        (Decimal, Decimal("12345678901234567890.10")),
        (Color, Color.BLUE),
        (Level, Level.LOW),
        (Literal["a", 2], "a"),
        (Order, ORDER),
        (Line, Line(Point(1, 2), Point(3, 4))),
        (Money, {"amount": 1, "currency": "EUR"}),
        (Cat | Dog, Dog("x")),
        (list[int], []),
        (list[Address], [ADDRESS]),
        (dict[str, list[Decimal]], {"a": [Decimal("1.0")], "": []}),
        (dict[int, str], {1: "a", -5: "b"}),
        (dict[UUID, Color], {UUID(int=1): Color.RED}),
        (set[int], {1, 2, 3}),
        (set[int], set()),
        (frozenset[str], frozenset({"a"})),
        (tuple[int, str, None], (1, "a", None)),
        (tuple[int, ...], ()),
        (int | str | None, None),
        (int | str | None, "1"),
        (int | str | None, 1),
        (Address | None, ADDRESS),
        (Sequence[int], [1, 2]),
        (Mapping[str, int], {"a": 1}),
        (Annotated[int, msgspec.Meta(ge=0)], 3),
        (Any, {"a": [1, 2.5, None, True, b"x", {"b": "c"}]}),
        (object, [1, {"a": "b"}]),
        (dict[str, object], {"a": [1, "b"]}),
    ],
)
def test_a_value_comes_back_as_it_was(type_: Any, value: object) -> None:
    back = round_trip(type_, value)

    assert back == value
    assert type(back) is type(value)


def test_a_nan_comes_back_as_one() -> None:
    assert math.isnan(round_trip(float, math.nan))
    assert math.isnan(round_trip(Any, [math.nan])[0])


def test_an_exact_decimal_keeps_its_zeros() -> None:
    assert str(round_trip(Decimal, Decimal("1.10"))) == "1.10"


def test_an_aware_datetime_comes_back_as_the_same_instant_in_utc() -> None:
    local = datetime(2024, 5, 6, 9, tzinfo=timezone(timedelta(hours=2)))

    back = round_trip(datetime, local)

    assert back == local
    assert back.tzinfo is UTC
    assert back.hour == 7


def test_a_naive_datetime_stays_naive() -> None:
    assert round_trip(datetime, NAIVE).tzinfo is None


def test_an_int_comes_back_as_a_float_where_a_float_is_annotated() -> None:
    assert type(round_trip(float, 1)) is float


def test_what_is_not_annotated_comes_back_as_plain_values() -> None:
    assert round_trip(Any, (1, {2}, UUID(int=0), Color.RED)) == [1, [2], str(UUID(int=0)), "red"]
    assert round_trip(Any, ADDRESS) == {"street": "Main", "lines": ["a", "b"]}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert round_trip(Any, value) == value


@given(st.builds(Address, st.text(), st.lists(st.text())))
def test_dataclasses_come_back_as_they_were(value: Address) -> None:
    assert round_trip(Address, value) == value


# ---- attrs and pydantic, where they are installed --------------------------------------------------------------------


def test_attrs_classes_come_back_as_they_were() -> None:
    attrs = pytest.importorskip("attrs")
    item = attrs.make_class("Item", {"name": attrs.field(type=str), "price": attrs.field(type=Decimal)})

    assert round_trip(list[item], [item("tea", Decimal("1.5"))]) == [item("tea", Decimal("1.5"))]


def test_pydantic_models_come_back_as_they_were() -> None:
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model(
        "Item", name=(str, ...), data=(bytes, b""), at=(datetime, LATE), ids=(set[UUID], set())
    )
    order = pydantic.create_model("Order", items=(list[item], ...), color=(Color, Color.RED), total=(Decimal, ...))
    value = order(items=[item(name="tea", data=b"\xff\x00", ids={UUID(int=1)})], total=Decimal("1.10"))

    assert round_trip(order, value) == value
    assert round_trip(order | None, None) is None
    assert round_trip(dict[str, list[order]], {"a": [value]}) == {"a": [value]}


def test_a_pydantic_model_with_an_alias_comes_back_as_it_was() -> None:
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model("Item", name=(str, pydantic.Field(alias="Name")))

    assert round_trip(item, item(Name="tea")) == item(Name="tea")


def test_a_pydantic_model_that_refuses_its_value_is_a_misuse_that_names_the_field() -> None:
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model("Item", price=(int, pydantic.Field(gt=0)))

    with pytest.raises(Misuse, match=r"The value does not fit Item: .*price"):
        codec_of(item).encode(item.model_construct(price=-1))


def test_a_function_may_take_and_give_pydantic_models() -> None:
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model("Item", name=(str, ...))

    def buy(what: Any, count: int = 1) -> Any: ...

    buy.__annotations__ = {"what": item, "count": int, "return": item}
    bought = activity(buy)

    assert bought.decode_args(bought.encode_args(item(name="tea"))) == ((item(name="tea"), 1), {})
    assert bought.decode_result(bought.encode_result(item(name="tea"))) == item(name="tea")
    with pytest.raises(Misuse, match=r"'what' of buy\(\) does not fit Item"):
        bought.encode_args("tea")


# ---- refusals --------------------------------------------------------------------------------------------------------


class Plain:
    def __repr__(self) -> str:
        return "<plain thing>"


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (int, 2**64, "more than 64 bits: 18446744073709551616. Give it as `str`"),
        (Any, {"a": [-(2**63) - 1]}, "Give it as `str`"),
        (Any, Plain(), "it holds an object of Plain; .* The value is <plain thing>"),
        (Any, [1j], "complex"),
        (Any, {(1, 2): Plain()}, "Plain"),
        (str, "\ud800", "surrogates not allowed"),
        (int, "1", "does not fit int: Expected `int`, got `str`. The value is '1'"),
        (int, True, "does not fit int: Expected `int`, got `bool`"),
        (int, 1.5, "does not fit int: Expected `int`, got `float`"),
        (str, None, "does not fit str: .* The value is None"),
        (Address, {"street": 5}, r"Expected `str`, got `int` - at `value.street`"),
        (list[Address], [ADDRESS, Address(5)], r"at `value\[1\].street`"),  # type: ignore[arg-type]
        (Color, "green", "Invalid enum value 'green'"),
        (Literal["a"], "b", "Invalid enum value 'b'"),
        (tuple[int, int], (1,), "length"),
        (Annotated[int, msgspec.Meta(ge=0)], -3, "The value is -3"),
        (Money, {"amount": 1}, "currency"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_value_and_the_place(type_: Any, value: Any, words: str) -> None:
    with pytest.raises(Misuse, match=words) as refused:
        codec_of(type_).encode(value)

    assert str(refused.value).startswith("The value ")


def test_a_message_shows_little_of_a_huge_value() -> None:
    with pytest.raises(Misuse) as refused:
        codec_of(int).encode("x" * 1_000_000)

    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\xa5ab", b"\x01\x01"])
def test_damaged_bytes_are_a_misuse_and_nothing_else(payload: bytes) -> None:
    with pytest.raises(Misuse, match="The value does not fit int"):
        codec_of(int).decode(payload)


@given(st.binary(max_size=40))
def test_whatever_bytes_are_a_misuse_or_a_value_that_is_written_and_read_again(payload: bytes) -> None:
    for type_ in (Any, Order, dict[str, list[int]], int | str):
        codec = codec_of(type_)
        with contextlib.suppress(Misuse):
            value = codec.decode(payload)
            once = encoder.encode(value)
            assert encoder.encode(codec.decode(once)) == once


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (Plain, "annotated Plain, and Plain cannot be recorded"),
        (list[Plain], r"annotated list\[.*Plain\], and Plain cannot be recorded"),
        (dict[str, Plain | None], "Plain cannot be recorded"),
        (complex, "complex cannot be recorded"),
        (type[int], "type cannot be recorded"),
        (Plain | int, "cannot be recorded: Type unions containing a custom type"),
        (Address | Order, "cannot be recorded: Type unions may not contain more than one"),
        (5, "annotated 5, which cannot be recorded"),
    ],
)
def test_a_type_that_cannot_be_recorded_is_refused_with_its_name(type_: Any, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        codec_of(type_)


def test_a_class_inside_a_dataclass_is_found_too() -> None:
    @dataclass
    class Holder:
        inner: list[Plain]

    Holder.__annotations__["inner"] = list[Plain]

    with pytest.raises(Misuse, match=r"annotated .*Holder, and Plain cannot be recorded"):
        codec_of(Holder)
