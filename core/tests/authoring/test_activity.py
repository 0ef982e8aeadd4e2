from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from perdure.authoring import Activity, Retry, activity, activity_info
from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator


@activity
async def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@activity(name="tell", retry=Retry(attempts=5), timeout=30, queue="mail", raises=[KeyError])
def notify(invoice: str, /, to: str = "all", *, urgent: bool = False) -> list[object]:
    return [invoice, to, urgent]


async def test_a_call_outside_an_orchestration_runs_an_async_function() -> None:
    assert await double(4) == 8


async def test_a_call_outside_an_orchestration_runs_a_sync_function() -> None:
    assert await notify("i1", to="me", urgent=True) == ["i1", "me", True]


async def test_a_call_can_be_a_task_and_be_gathered() -> None:
    task = asyncio.create_task(double(1))

    assert await asyncio.gather(task, double(2), notify("x")) == [2, 4, ["x", "all", False]]


async def test_a_call_runs_when_it_is_awaited_and_not_before() -> None:
    seen: list[str] = []

    @activity
    def note(text: str) -> None:
        seen.append(text)

    call = note("a")
    assert seen == []
    await call
    assert seen == ["a"]


def test_a_call_that_is_never_awaited_is_a_warning_with_its_name() -> None:
    with pytest.warns(RuntimeWarning, match="activity 'double' was never awaited"):
        double(1)


async def test_an_error_of_the_function_reaches_the_caller_outside_as_it_is() -> None:
    @activity
    def fail() -> None:
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError, match="no"):
        await fail()


def test_options_have_the_defaults_of_the_reference() -> None:
    assert (double.name, double.queue, double.retry, double.timeout, double.raises) == (
        "double",
        "default",
        None,
        0,
        (),
    )


def test_options_given_at_decoration_are_kept() -> None:
    assert (notify.name, notify.queue, notify.timeout, notify.raises) == ("tell", "mail", 30.0, (KeyError,))
    assert notify.retry == Retry(attempts=5)


def test_it_tells_whether_its_function_is_async() -> None:
    assert double.is_async
    assert not notify.is_async


def test_it_looks_like_its_function() -> None:
    assert double.fn(3).close() is None
    assert double.__doc__ == "Twice as much."
    assert double.__name__ == "double"
    assert (
        str(inspect.signature(notify))
        == "(invoice: 'str', /, to: 'str' = 'all', *, urgent: 'bool' = False) -> 'list[object]'"
    )
    assert "'tell'" in repr(notify)
    assert "test_activity.py:" in repr(notify)


def test_options_gives_a_copy_and_changes_only_what_is_given() -> None:
    other = notify.options(queue="gpu")

    assert (other.queue, other.timeout, other.retry, other.name) == ("gpu", 30.0, notify.retry, "tell")
    assert notify.queue == "mail"
    assert notify.options(retry=None).retry is None
    assert notify.options(timeout=0).timeout == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: double(*()), "missing 1 required positional argument: 'number'"),
        (lambda: double(1, 2), "takes 1 positional argument but 2 were given"),
        (lambda: double(1, other=2), "unexpected keyword argument 'other'"),
        (lambda: notify(invoice="x"), "positional-only"),
    ],
)
def test_a_wrong_arity_raises_at_the_call_as_a_plain_function_does(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call()


def test_the_words_of_a_wrong_arity_are_those_of_the_function_itself() -> None:
    with pytest.raises(TypeError) as plain:
        double.fn()
    with pytest.raises(TypeError) as ours:
        double()

    assert str(ours.value) == str(plain.value)


def test_arguments_are_written_and_read_back_as_the_function_takes_them() -> None:
    payload = notify.encode_args("i1", urgent=True)

    args, kwargs = notify.decode_args(payload)

    assert notify.fn(*args, **kwargs) == ["i1", "all", True]


def test_a_result_is_written_and_read_back() -> None:
    assert double.decode_result(double.encode_result(4)) == 4


def test_a_result_that_does_not_fit_is_refused_with_its_value() -> None:
    with pytest.raises(Misuse, match=r"The result of double\(\) does not fit int: .* The value is 'four'"):
        double.encode_result("four")


async def test_an_activity_awaited_without_a_worker_has_an_info_of_its_own() -> None:
    """Code that uses its idempotency key must run in a unit test too."""

    @activity
    async def key() -> str:
        await asyncio.sleep(0)
        assert activity_info().attempt == 1
        return activity_info().idempotency_key

    assert await key() != await key()
    with pytest.raises(Misuse, match="no activity runs"):
        activity_info()


# ---- what cannot be an activity --------------------------------------------------------------------------------------


def refusal(decorate: Callable[[], Any]) -> str:
    with pytest.raises(Misuse) as refused:
        decorate()
    return str(refused.value)


def test_a_generator_function_is_refused() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    assert "numbers" in refusal(lambda: activity(numbers))
    assert "Return one value" in refusal(lambda: activity(numbers))


def test_an_async_generator_function_is_refused() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    assert "it yields" in refusal(lambda: activity(numbers))


def test_a_class_is_refused() -> None:
    assert "the class Retry" in refusal(lambda: activity(Retry))


@pytest.mark.parametrize("thing", [len, functools.partial(print, 1), "text", None.__class__.__repr__])
def test_what_is_no_python_function_is_refused(thing: Any) -> None:
    assert "wrap it in a `def`" in refusal(lambda: activity(thing))


def test_a_lambda_needs_a_name() -> None:
    assert "give name=" in refusal(lambda: activity(lambda: 1))
    assert activity(name="one")(lambda: 1).name == "one"


def test_a_method_is_refused() -> None:
    class Service:
        def send(self, text: str) -> None: ...

    message = refusal(lambda: activity(Service.send))
    assert "Service.send" in message
    assert "'self' cannot be recorded" in message


def test_a_class_method_below_the_decorator_is_refused() -> None:
    class Service:
        @classmethod
        def send(cls) -> None: ...

    assert "below @classmethod" in refusal(lambda: activity(Service.__dict__["send"]))


def test_a_function_of_a_module_may_call_its_first_parameter_self() -> None:
    def act(self: int) -> int:
        return self

    assert isinstance(activity(act), Activity)


def test_a_static_method_works_with_the_decorators_in_the_right_order() -> None:
    class Service:
        @staticmethod
        @activity
        def twice(number: int) -> int:
            return 2 * number

    assert Service.twice.encode_args(2) == double.encode_args(2)
    assert "put it above" in refusal(lambda: activity(staticmethod(len)))


@pytest.mark.parametrize("timeout", [-1, float("inf"), float("nan"), "30", None, True])
def test_a_timeout_out_of_range_is_refused_with_its_value(timeout: Any) -> None:
    message = refusal(lambda: activity(timeout=timeout)(double.fn))

    assert f"timeout={timeout!r}" in message
    assert message == refusal(lambda: double.options(timeout=timeout)).replace(
        "double.options()", "@activity on double"
    )


@pytest.mark.parametrize("retry", [3, "often", Retry])
def test_a_retry_that_is_none_is_refused_with_its_value(retry: Any) -> None:
    assert f"retry={retry!r}" in refusal(lambda: activity(retry=retry)(double.fn))
    assert f"retry={retry!r}" in refusal(lambda: double.options(retry=retry))


@pytest.mark.parametrize("queue", ["", "a\nb", 3])
def test_a_queue_with_an_impossible_name_is_refused(queue: Any) -> None:
    assert repr(queue) in refusal(lambda: activity(queue=queue)(double.fn))
    assert repr(queue) in refusal(lambda: double.options(queue=queue))


@pytest.mark.parametrize("name", ["", "a\x00b", 3])
def test_an_impossible_name_is_refused(name: Any) -> None:
    assert repr(name) in refusal(lambda: activity(name=name)(double.fn))


@pytest.mark.parametrize("class_", [KeyboardInterrupt, "KeyError", KeyError("x"), int])
def test_what_is_no_exception_class_cannot_be_declared(class_: Any) -> None:
    assert repr(class_) in refusal(lambda: activity(raises=[class_])(double.fn))


def test_an_exception_group_cannot_be_declared() -> None:
    assert "ExceptionGroup" in refusal(lambda: activity(raises=[ExceptionGroup])(double.fn))


# ---- decorated functions ---------------------------------------------------------------------------------------------


def traced(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def test_a_decorated_function_is_called_by_the_signature_of_what_it_wraps() -> None:
    @activity
    @traced
    async def half(number: int) -> float:
        return number / 2

    with pytest.raises(Misuse, match="'number'"):
        half.encode_args("x")


def test_a_plain_wrapper_of_an_async_function_is_refused_when_it_returns_a_coroutine() -> None:
    """Left alone, it would be recorded as the result, or never run."""
    half = activity(traced(double.fn))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Misuse, match="Make the wrapper `async def`"):
            half.encode_result(half.fn(2))


async def test_a_plain_wrapper_of_an_async_function_is_refused_outside_too() -> None:
    half = activity(traced(double.fn))

    with pytest.raises(Misuse, match="Make the wrapper `async def`"):
        await half(2)
