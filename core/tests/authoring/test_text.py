"""What people write on a command line, and what they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.authoring import activity, json_input, orchestration, show
from perdure.errors import Misuse


@dataclass
class Order:
    amount: Decimal
    tags: set[str] = field(default_factory=set)


@orchestration
async def one(order: Order) -> None: ...


@orchestration
async def numbers(numbers: list[int]) -> None: ...


@orchestration
async def settings(settings: dict[str, int]) -> None: ...


@orchestration
async def several(order: Order, at: datetime, *, note: bytes = b"") -> None: ...


@orchestration
async def none() -> None: ...


@orchestration
async def optional(count: int = 3) -> None: ...


@activity
def everything(a: int, b: int = 2, /, *rest: UUID, k: int = 0, **more: float) -> None: ...


@activity
def by_name(*, key: int) -> None: ...


@activity
def only_rest(*rest: int) -> None: ...


@activity
def only_more(**more: int) -> None: ...


@activity
def with_rest(first: int = 0, *rest: int) -> None: ...


NOON = "2024-05-06T12:00:00Z"


@pytest.mark.parametrize(
    ("definition", "value", "arguments"),
    [
        # Rule 1: an object of parameter names.
        (one, {"order": {"amount": "1.5"}}, ((Order(Decimal("1.5")),), {})),
        (
            several,
            {"order": {"amount": 1}, "at": NOON},
            ((Order(Decimal(1)), datetime(2024, 5, 6, 12, tzinfo=UTC)), {"note": b""}),
        ),
        (settings, {"settings": {"a": 1}}, (({"a": 1},), {})),
        (everything, {"a": 1, "k": 5, "x": 1}, ((1, 2), {"k": 5, "x": 1.0})),
        (everything, {"a": 1, "b": 3}, ((1, 3), {"k": 0})),
        (by_name, {"key": 1}, ((), {"key": 1})),
        (none, {}, ((), {})),
        (optional, {}, ((3,), {})),
        (only_rest, {}, ((), {})),
        (only_more, {}, ((), {})),
        (only_more, {"a": 1}, ((), {"a": 1})),
        (settings, {}, (({},), {})),
        # Rule 2: a list of positional arguments.
        (
            several,
            [{"amount": 1, "tags": ["a"]}, NOON],
            ((Order(Decimal(1), {"a"}), datetime(2024, 5, 6, 12, tzinfo=UTC)), {"note": b""}),
        ),
        (everything, [1, 2, str(UUID(int=3))], ((1, 2, UUID(int=3)), {"k": 0})),
        (only_rest, [1, 2], ((1, 2), {})),
        (none, [], ((), {})),
        # Rule 3: the value of the first parameter.
        (one, {"amount": "1.5", "tags": ["a"]}, ((Order(Decimal("1.5"), {"a"}),), {})),
        (numbers, [1, 2], (([1, 2],), {})),
        (numbers, [], (([],), {})),
        (settings, {"a": 1}, (({"a": 1},), {})),
        (optional, 5, ((5,), {})),
        (everything, 5, ((5, 2), {"k": 0})),
        (by_name, 1, ((), {"key": 1})),
        (none, None, ((), {})),
    ],
)
def test_json_becomes_arguments_by_the_first_rule_that_fits(definition: Any, value: Any, arguments: Any) -> None:
    assert definition.signature.decode(json_input(definition, value)) == arguments


def test_text_of_base64_becomes_bytes() -> None:
    payload = json_input(several, {"order": {"amount": 1}, "at": NOON, "note": "AP8="})

    assert several.signature.decode(payload)[1] == {"note": b"\x00\xff"}


def test_keys_of_objects_become_what_the_annotation_says() -> None:
    @activity
    def scores(scores: dict[int, float]) -> None: ...

    assert scores.decode_args(json_input(scores, {"1": 2})) == (({1: 2.0},), {})


def test_json_for_a_pydantic_model_becomes_the_model() -> None:
    pydantic = pytest.importorskip("pydantic")
    item = pydantic.create_model("Item", name=(str, ...), at=(datetime, ...))

    def buy(what: Any, count: Any = 1) -> None: ...

    buy.__annotations__ = {"what": item}
    bought = activity(buy)
    payload = json_input(bought, {"what": {"name": "tea", "at": NOON}, "count": 2})

    assert bought.decode_args(payload) == ((item(name="tea", at=datetime(2024, 5, 6, 12, tzinfo=UTC)), 2), {})


@pytest.mark.parametrize(
    ("definition", "value", "words"),
    [
        (one, {"amount": "many"}, r"Parameter 'order' of one\(\) does not fit Order: .*`order.amount`"),
        (one, None, "Parameter 'order' of one.* The value is None"),
        (
            several,
            {"order": {"amount": 1}},
            r"several\(\) missing 1 required positional argument: 'at'. The parameters are order: 'Order', at",
        ),
        (several, [], "missing 2 required positional arguments"),
        (several, {}, "missing 2 required positional arguments"),
        (several, [1, 2, 3], "takes 2 positional arguments but 3 were given"),
        (several, {"oder": 1, "at": NOON}, "missing 1 required positional argument: 'at'"),
        (none, [1], "takes 0 positional arguments but 1 was given. The parameters are none"),
        (none, {"a": 1}, "takes 0 positional arguments but 1 was given"),
        (everything, {"b": 1}, "positional"),
        (with_rest, {"rest": [1]}, "Parameter 'first' of with_rest"),
        (numbers, ["x"], r"`numbers\[0\]`"),
        (settings, {"a": "x"}, "Parameter 'settings'"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_the_parameter(definition: Any, value: Any, words: str) -> None:
    with pytest.raises(Misuse, match=words):
        json_input(definition, value)


# ---- shown to people -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("ü", '"ü"'),
        ([1, 2.5, True, {"a": "b"}], '[1, 2.5, true, {"a": "b"}]'),
        ({1: "a"}, '{"1": "a"}'),
        (float("nan"), "NaN"),
        (b"\x00ab", "\"b'\\\\x00ab'\""),
        (datetime(2024, 5, 6, 12, tzinfo=UTC), '"2024-05-06 12:00:00+00:00"'),
        (Order(Decimal("1.5")), '{"amount": "1.5", "tags": []}'),
        (msgspec.msgpack.Ext(5, b"a"), "\"extension 5: b'a'\""),
    ],
)
def test_recorded_data_is_shown_as_json_where_it_can_be(value: object, text: str) -> None:
    assert show(msgspec.msgpack.encode(value)) == text


def test_what_is_too_long_is_cut_with_a_sign() -> None:
    text = show(msgspec.msgpack.encode("x" * 5_000), limit=100)

    assert len(text) == 100
    assert text.endswith("xx…")


def test_what_just_fits_is_whole() -> None:
    assert show(msgspec.msgpack.encode("abc"), limit=5) == '"abc"'
    assert show(msgspec.msgpack.encode("abcd"), limit=5) == '"abc…'


def test_damaged_data_is_shown_as_bytes() -> None:
    assert show(b"\xc1\x00") == "<2 bytes: c1 00>"
    assert show(b"\xc1" * 40) == f"<40 bytes: {'c1 ' * 32}…>"


def test_a_map_with_keys_that_json_has_not_is_shown_as_bytes() -> None:
    assert show(msgspec.msgpack.encode({(1, 2): 3})).startswith("<5 bytes: ")


def test_huge_data_is_not_even_read() -> None:
    assert show(b"\xc1" * 2_000_000) == "<2,000,000 bytes>"


def test_deeply_nested_data_is_shown_as_bytes() -> None:
    assert show(b"\x91" * 100_000 + b"\xc0").startswith("<100,001 bytes: 91 91")


def test_what_would_move_a_terminals_cursor_is_escaped() -> None:
    text = show(msgspec.msgpack.encode("a\x1b[2J\x9b1m\u202eb"))

    assert text.isprintable()
    assert text == '"a\\u001b[2J\\x9b1m\\u202eb"'


@given(st.binary(max_size=60), st.integers(1, 30))
def test_any_bytes_are_shown_within_the_limit_and_never_raise(payload: bytes, limit: int) -> None:
    text = show(payload, limit=limit)

    assert text.isprintable()
    assert len(text) <= limit
