from __future__ import annotations

from typing import Any

import pytest

from perdure.authoring import Retry
from perdure.errors import Misuse
from perdure.events import RetryRules


class PaymentError(Exception):
    pass


class PaymentDeclined(PaymentError):
    pass


HERE = __name__


def test_the_defaults_are_those_of_the_reference() -> None:
    assert Retry().rules() == RetryRules(
        attempts=3, first_delay=1.0, backoff=2.0, max_delay=3600.0, jitter=0.0, deadline=0.0
    )


def test_everything_given_is_recorded() -> None:
    retry = Retry(attempts=0, first_delay=0, backoff=1, max_delay=5, jitter=1, deadline=60, retry_on=("app.Busy",))

    assert retry.rules() == RetryRules(
        attempts=0, first_delay=0.0, backoff=1.0, max_delay=5.0, jitter=1.0, deadline=60.0, retry_on=("app.Busy",)
    )


def test_a_class_stands_for_its_subclasses_too() -> None:
    """Records compare names; `except` in code would take the subclass."""
    rules = Retry(retry_on=(PaymentError,), never_on=(PaymentDeclined, "app.Broken")).rules()

    assert rules.retry_on == (f"{HERE}.PaymentDeclined", f"{HERE}.PaymentError")
    assert rules.never_on == ("app.Broken", f"{HERE}.PaymentDeclined")


def test_builtins_are_named_without_their_module() -> None:
    assert {"OSError", "ConnectionResetError"} <= set(Retry(retry_on=(OSError,)).rules().retry_on)


def test_retrying_on_exception_means_all() -> None:
    assert Retry(retry_on=(Exception,)).rules().retry_on == ()


def test_never_on_exception_means_one_attempt() -> None:
    assert Retry(never_on=(Exception,)).rules().attempts == 1


def test_arguments_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Retry(5)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("option", "value", "range_"),
    [
        ("attempts", -1, "1 or more, or 0 for no limit"),
        ("attempts", 2.5, "whole number"),
        ("attempts", True, "whole number"),
        ("attempts", "3", "whole number"),
        ("first_delay", -0.1, "0 or more"),
        ("first_delay", float("nan"), "0 or more"),
        ("first_delay", "1", "0 or more"),
        ("backoff", 0.5, "1 or more"),
        ("backoff", float("inf"), "finite"),
        ("max_delay", -1, "0 or more"),
        ("max_delay", float("inf"), "finite"),
        ("jitter", 1.1, "from 0 to 1"),
        ("jitter", -0.1, "from 0 to 1"),
        ("jitter", True, "from 0 to 1"),
        ("deadline", 0, "more than 0"),
        ("deadline", -5, "0 or more"),
        ("deadline", "soon", "0 or more"),
        ("retry_on", KeyError, "tuple of exception classes"),
        ("retry_on", [KeyError], "tuple of exception classes"),
        ("never_on", "KeyError", "tuple of exception classes"),
        ("handler", 3, "function of a Failure"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_value_and_the_range(option: str, value: Any, range_: str) -> None:
    with pytest.raises(Misuse) as refused:
        Retry(**{option: value})

    assert f"{option}={value!r}" in str(refused.value)
    assert range_ in str(refused.value)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, int, 3, KeyError("x")])
def test_what_is_no_exception_class_is_refused_with_its_value(kind: Any) -> None:
    with pytest.raises(Misuse) as refused:
        Retry(never_on=(kind,))

    assert repr(kind) in str(refused.value)
    assert "never_on" in str(refused.value)
