"""Which exception awaiting code gets for a recorded failure."""

from __future__ import annotations

import pytest

from perdure.authoring import activity
from perdure.errors import ActivityError, Failure, Misuse


class PaymentError(Exception):
    pass


class PaymentDeclined(PaymentError):
    pass


class OutOfStock(Exception):
    """Takes something else than a message."""

    def __init__(self, item: str, wanted: int) -> None:
        super().__init__(f"{wanted} of {item}")
        self.item = item


class Shouting(Exception):
    """Changes its message."""

    def __init__(self, message: str) -> None:
        super().__init__(message.upper() + "!")


@activity(raises=[PaymentError, OutOfStock, Shouting, KeyError])
def pay() -> None: ...


def named(class_: type[Exception], message: str = "no money") -> Failure:
    return Failure(type=f"{class_.__module__}.{class_.__qualname__}", message=message)


def test_a_failure_that_was_not_declared_is_an_activity_error() -> None:
    failure = Failure(type="app.Broken", message="hm")

    error = pay.restore(failure)

    assert isinstance(error, ActivityError)
    assert (error.failure, error.name, error.instance_id) == (failure, "pay", "")
    assert str(error) == "Activity 'pay' failed: app.Broken: hm"


def test_a_declared_failure_is_its_class_with_the_activity_error_as_cause() -> None:
    error = pay.restore(named(PaymentError))

    assert type(error) is PaymentError
    assert str(error) == "no money"
    assert isinstance(error.__cause__, ActivityError)
    assert error.__cause__.failure == named(PaymentError)


def test_a_subclass_of_a_declared_class_is_itself() -> None:
    assert type(pay.restore(named(PaymentDeclined))) is PaymentDeclined


def test_a_base_class_of_a_declared_class_is_not_declared() -> None:
    assert isinstance(pay.restore(Failure(type="Exception", message="x")), ActivityError)


def test_a_class_of_another_module_with_the_same_name_is_another_class() -> None:
    assert isinstance(pay.restore(Failure(type="elsewhere.PaymentError", message="x")), ActivityError)


def test_a_class_that_takes_more_than_a_message_is_made_without_its_constructor() -> None:
    error = pay.restore(named(OutOfStock, "3 of tea"))

    assert type(error) is OutOfStock
    assert str(error) == "3 of tea"


def test_a_class_that_changes_its_message_does_not_change_it_twice() -> None:
    assert str(pay.restore(named(Shouting, "HEY!"))) == "HEY!"


def test_a_builtin_is_named_without_its_module() -> None:
    assert type(pay.restore(Failure(type="KeyError", message="'a'"))) is KeyError


@pytest.mark.parametrize("declared", [[PaymentError, int], [BaseException]])
def test_what_is_no_exception_class_is_refused(declared: list[type]) -> None:
    with pytest.raises(Misuse, match=r"raises=\[…\] takes exception classes"):
        activity(raises=declared)(pay.fn)
