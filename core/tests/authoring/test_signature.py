"""Arguments as data, and how a signature may change while instances run."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypedDict, Unpack

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.authoring import activity
from perdure.errors import Misuse


@dataclass
class Order:
    amount: int


def pack(*values: object) -> bytes:
    return msgspec.msgpack.encode(values)


FIVE = Order(5)


def everything(
    a: int, b: Order = FIVE, /, c: str = "c", *rest: float, d: bytes, e: bool = True, **more: list[int]
) -> None: ...


EVERYTHING = activity(everything)


def test_all_kinds_of_parameters_are_recorded_in_the_order_of_the_signature() -> None:
    payload = EVERYTHING.encode_args(1, Order(2), "x", 0.5, 1.5, d=b"d", z=[1])

    assert msgspec.msgpack.decode(payload) == [1, {"amount": 2}, "x", [0.5, 1.5], b"d", True, {"z": [1]}]
    assert EVERYTHING.decode_args(payload) == ((1, Order(2), "x", 0.5, 1.5), {"d": b"d", "e": True, "z": [1]})


def test_defaults_are_recorded_with_the_call() -> None:
    """A new default must not change what a running instance has asked for."""
    assert msgspec.msgpack.decode(EVERYTHING.encode_args(1, d=b"")) == [1, {"amount": 5}, "c", [], b"", True, {}]


@given(
    st.integers(-5, 5), st.lists(st.floats(allow_nan=False)), st.dictionaries(st.text(min_size=1), st.lists(st.just(1)))
)
def test_any_call_is_read_back_as_it_was_made(a: int, rest: list[float], more: dict[str, list[int]]) -> None:
    named = {name: value for name, value in more.items() if name not in {"d", "e", "c"}}

    args, kwargs = EVERYTHING.decode_args(EVERYTHING.encode_args(a, Order(1), "c", *rest, d=b"x", **named))

    assert args == (a, Order(1), "c", *rest)
    assert kwargs == {"d": b"x", "e": True, **named}


def test_parameters_without_annotations_take_anything_plain() -> None:
    @activity
    def free(a, b=None, *c, **d): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN003, ANN202

    assert free.decode_args(free.encode_args(1, "b", [2], d={"e": None})) == ((1, "b", [2]), {"d": {"e": None}})


def test_a_function_without_parameters_records_an_empty_array() -> None:
    @activity
    def nothing() -> None: ...

    assert nothing.encode_args() == pack()
    assert nothing.decode_args(pack()) == ((), {})


def test_a_default_of_none_widens_the_annotation() -> None:
    @activity
    def remind(to: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert remind.decode_args(remind.encode_args()) == ((None,), {})
    assert remind.decode_args(remind.encode_args("me")) == (("me",), {})


def test_keywords_may_be_described_by_a_typed_dict() -> None:
    class Options(TypedDict, total=False):
        size: int

    def resize(**options: Unpack[Options]) -> None: ...

    resize.__annotations__["options"] = Unpack[Options]
    resized = activity(resize)

    assert resized.decode_args(resized.encode_args(size=3)) == ((), {"size": 3})
    with pytest.raises(Misuse, match=r"options\.size"):
        resized.encode_args(size="big")


def test_a_parameter_may_have_any_name() -> None:
    @activity
    def odd(__init__: int, bind: int, _: int, lambda_: int) -> None: ...

    assert odd.decode_args(odd.encode_args(1, 2, 3, 4)) == ((1, 2, 3, 4), {})


def test_a_function_that_never_returns_may_say_so() -> None:
    @activity
    def leave() -> NoReturn:
        raise SystemExit

    assert leave.decode_result(leave.encode_result(None)) is None


# ---- a signature that changes while instances run --------------------------------------------------------------------


def test_a_parameter_with_a_default_may_be_added_at_the_end() -> None:
    @activity
    def old(a: int) -> None: ...

    @activity
    def new(a: int, b: str = "b", *, c: list[int] | None = None) -> None: ...

    assert new.decode_args(old.encode_args(1)) == ((1, "b"), {"c": None})


def test_a_parameter_for_all_the_rest_may_be_added_at_the_end() -> None:
    @activity
    def old(a: int) -> None: ...

    @activity
    def more(a: int, *rest: int) -> None: ...

    @activity
    def most(a: int, *rest: int, **named: int) -> None: ...

    assert more.decode_args(old.encode_args(1)) == ((1,), {})
    assert most.decode_args(old.encode_args(1)) == ((1,), {})


def test_each_reader_gets_the_default_itself_as_a_plain_call_does() -> None:
    default = [1]

    def new(a: int, b: list[int] = default) -> None: ...

    assert activity(new).decode_args(pack(1))[0][1] is default


def test_a_renamed_parameter_reads_what_the_old_one_recorded() -> None:
    @activity
    def old(order: int) -> None: ...

    @activity
    def new(order_id: int) -> None: ...

    assert new.decode_args(old.encode_args(1)) == ((1,), {})


def test_a_parameter_without_a_default_that_was_added_is_named() -> None:
    @activity
    def new(a: int, b: str) -> None: ...

    with pytest.raises(Misuse, match=r"1 arguments were recorded for new\(\), which has 2 parameters; 'b' is missing"):
        new.decode_args(pack(1))


def test_values_without_a_parameter_are_refused_rather_than_dropped() -> None:
    @activity
    def new(a: int) -> None: ...

    with pytest.raises(Misuse, match=r"2 arguments were recorded for new\(\), which has 1 parameters"):
        new.decode_args(pack(1, 2))


def test_a_parameter_that_changed_its_type_is_named() -> None:
    with pytest.raises(Misuse, match=r"Parameter 'b' of everything\(\) does not fit Order: .*`b.amount`"):
        EVERYTHING.decode_args(pack(1, {"amount": "x"}, "c", [], b"", True, {}))  # noqa: FBT003 - recorded values.


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x81\x01\x02", pack(1)[:-1], pack(1) + b"\x00"])
def test_what_is_no_array_of_arguments_is_a_misuse(payload: bytes) -> None:
    with pytest.raises(Misuse, match=r"arguments of everything\(\)|'b' of|recorded for everything"):
        EVERYTHING.decode_args(payload)


@given(st.binary(max_size=30))
def test_whatever_bytes_are_a_misuse_or_arguments_that_fit(payload: bytes) -> None:
    with contextlib.suppress(Misuse):
        args, _ = EVERYTHING.decode_args(payload)
        assert type(args[0]) is int


# ---- refusals --------------------------------------------------------------------------------------------------------


class Plain: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (("x",), {}, "Parameter 'a' of everything.* The value is 'x'"),
        ((1, Order("x")), {}, "Parameter 'b' of everything.*`b.amount`"),  # type: ignore[arg-type]
        ((1, Order(1), 5), {}, "Parameter 'c' of everything.* The value is 5"),
        ((1, Order(1), "c", 1.0, "no"), {}, r"Parameter 'rest' of everything.*`rest\[1\]`"),
        ((1,), {"d": "text"}, "Parameter 'd' of everything.* The value is 'text'"),
        ((1,), {"z": ["no"]}, r"Parameter 'more' of everything.*no"),
        ((2**80,), {}, "Parameter 'a' of everything.*Give it as `str`"),
        ((Plain(),), {}, "Parameter 'a' of everything.*Plain"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_with_its_parameter_and_value(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(Misuse, match=words):
        EVERYTHING.encode_args(*args, **{"d": b"", **kwargs})


@pytest.mark.parametrize("hint", [Plain, list[Plain], complex, Callable[[], int], Awaitable[int], type[int], 5])
def test_an_annotation_that_cannot_be_recorded_is_refused_at_decoration_with_its_parameter(hint: Any) -> None:
    def work(order: int, tool: Any) -> None: ...

    work.__annotations__["tool"] = hint

    with pytest.raises(Misuse, match=r"Parameter 'tool' of work\(\) is annotated"):
        activity(work)


def test_a_result_that_cannot_be_recorded_is_refused_at_decoration() -> None:
    def work() -> Plain: ...

    with pytest.raises(Misuse, match=r"The result of work\(\) is annotated Plain"):
        activity(work)


def test_a_default_that_does_not_fit_is_refused_at_decoration_with_its_parameter() -> None:
    """It would be refused at every call that relies on it."""

    def work(count: int = "three") -> None: ...  # type: ignore[assignment]

    with pytest.raises(Misuse, match=r"The default of parameter 'count' of work\(\) does not fit int: .*'three'"):
        activity(work)


# ---- annotations as text ---------------------------------------------------------------------------------------------


@activity
def early(later: Later) -> list[Later]: ...


@activity
def early_and_wrong(thing: LaterPlain) -> None: ...


@dataclass
class Later:
    number: int


class LaterPlain: ...


def test_an_annotation_may_name_what_the_module_defines_later() -> None:
    assert early.decode_args(early.encode_args(Later(3))) == ((Later(3),), {})
    assert early.decode_result(early.encode_result([Later(4)])) == [Later(4)]


def test_a_type_defined_later_that_turns_out_to_be_unsupported_is_refused_at_the_first_use() -> None:
    with pytest.raises(Misuse, match=r"Parameter 'thing' of early_and_wrong\(\) is annotated LaterPlain"):
        early_and_wrong.encode_args(LaterPlain())


def test_an_annotation_that_is_never_defined_is_refused_at_the_first_use_with_its_name() -> None:
    @activity
    def work(order: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for use in (lambda: work.encode_args(1), lambda: work.decode_args(pack(1)), lambda: work.encode_result(None)):
        with pytest.raises(
            Misuse, match=r"An annotation of work\(\) cannot be resolved: name 'Missing' is not defined"
        ):
            use()
