from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from perdure.authoring import Orchestration, Retry, activity, orchestration
from perdure.errors import Failure, Misuse, SubOrchestrationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@activity
def issue(order: int) -> str:
    return f"invoice {order}"


@orchestration
async def invoicing(order: int, copies: int = 1) -> list[str]:
    """Send invoices."""
    return await asyncio.gather(*(issue(order) for _ in range(copies)))


@orchestration(name="ship", version="2", queue="slow", raises=[KeyError])
async def shipping(order: int) -> None:
    raise KeyError(order)


async def test_an_orchestration_awaited_outside_just_runs() -> None:
    assert await invoicing(3, copies=2) == ["invoice 3", "invoice 3"]


def test_options_have_the_defaults_of_the_reference() -> None:
    assert (invoicing.name, invoicing.version, invoicing.queue, invoicing.raises) == ("invoicing", None, "default", ())
    assert (invoicing.id, invoicing.retry) == (None, None)


def test_options_given_at_decoration_are_kept() -> None:
    assert (shipping.name, shipping.version, shipping.queue, shipping.raises) == ("ship", "2", "slow", (KeyError,))


def test_it_looks_like_its_function() -> None:
    assert invoicing.__doc__ == "Send invoices."
    assert "'ship' version '2'" in repr(shipping)
    assert "test_orchestration.py:" in repr(invoicing)


def test_options_gives_a_copy_and_changes_only_what_is_given() -> None:
    other = shipping.options(id="o-1", retry=Retry(attempts=2))

    assert (other.id, other.retry, other.queue, other.version) == ("o-1", Retry(attempts=2), "slow", "2")
    assert other.options(queue="fast").id == "o-1"
    assert other.options(id=None, retry=None).retry is None
    assert shipping.id is None


def test_a_call_tells_its_definition_and_writes_its_input() -> None:
    """This is what starting an instance needs."""
    call = invoicing(4, copies=2)

    assert call.definition is invoicing
    assert call.encode_input() == invoicing.encode_args(4, 2)
    assert call.decode_result(invoicing.signature.encode_result(["a"])) == ["a"]
    call.close()


def test_an_input_that_does_not_fit_is_refused_before_anything_is_recorded() -> None:
    call = invoicing("four")  # type: ignore[arg-type]

    with pytest.raises(Misuse, match=r"Parameter 'order' of invoicing\(\) does not fit int: .*'four'"):
        call.encode_input()
    call.close()


def test_a_call_that_is_never_awaited_is_a_warning_with_its_name() -> None:
    with pytest.warns(RuntimeWarning, match="orchestration 'invoicing' was never awaited"):
        invoicing(1)


def test_a_wrong_arity_raises_at_the_call() -> None:
    with pytest.raises(TypeError, match=r"invoicing\(\) missing 1 required positional argument: 'order'"):
        invoicing()  # type: ignore[call-arg]


async def test_its_program_decodes_the_input_and_encodes_the_result() -> None:
    program = invoicing.program

    assert (program.name, program.version) == ("invoicing", None)
    result = await program.start(invoicing.encode_args(5))
    assert invoicing.decode_result(program.encode_result(result)) == ["invoice 5"]


def test_its_program_refuses_an_input_that_does_not_fit_before_it_runs() -> None:
    with pytest.raises(Misuse, match=r"The recorded arguments of invoicing\(\) are not an array of values"):
        invoicing.program.start(shipping.signature.encode_result(None))


def test_a_failure_becomes_a_sub_orchestration_error_with_its_instance() -> None:
    failure = Failure(type="app.Broken", message="hm")

    error = invoicing.restore(failure, "order-1:3")

    assert isinstance(error, SubOrchestrationError)
    assert (error.failure, error.name, error.instance_id) == (failure, "invoicing", "order-1:3")
    assert str(error) == "Orchestration 'invoicing' (order-1:3) failed: app.Broken: hm"


def test_a_declared_failure_becomes_its_class() -> None:
    error = shipping.restore(Failure(type="KeyError", message="4"), "child")

    assert isinstance(error, KeyError)
    assert isinstance(error.__cause__, SubOrchestrationError)


# ---- what cannot be an orchestration ---------------------------------------------------------------------------------


def refusal(decorate: Callable[[], Any]) -> str:
    with pytest.raises(Misuse) as refused:
        decorate()
    return str(refused.value)


def test_a_sync_function_is_refused() -> None:
    def work() -> None: ...

    message = refusal(lambda: orchestration(work))  # type: ignore[arg-type]
    assert "work" in message
    assert "Write `async def`" in message


def test_an_async_generator_function_is_refused() -> None:
    async def work() -> AsyncIterator[int]:
        yield 1

    assert "it yields" in refusal(lambda: orchestration(work))  # type: ignore[call-overload]


def test_a_method_is_refused() -> None:
    class Service:
        async def work(self) -> None: ...

    assert "'self' cannot be recorded" in refusal(lambda: orchestration(Service.work))


def test_an_activity_is_no_orchestration() -> None:
    assert "no Python function" in refusal(lambda: orchestration(issue))


@pytest.mark.parametrize("version", ["", 2, "a\tb"])
def test_an_impossible_version_is_refused_with_its_value(version: Any) -> None:
    assert repr(version) in refusal(lambda: orchestration(version=version)(invoicing.fn))


@pytest.mark.parametrize("id", ["", "a\nb", 7, "x" * 257])
def test_an_impossible_instance_id_is_refused_with_its_value(id: Any) -> None:
    assert repr(id)[:30] in refusal(lambda: invoicing.options(id=id))


@pytest.mark.parametrize("retry", [3, "often"])
def test_a_retry_that_is_none_is_refused_with_its_value(retry: Any) -> None:
    assert f"retry={retry!r}" in refusal(lambda: invoicing.options(retry=retry))


@pytest.mark.parametrize("queue", ["", 3])
def test_a_queue_with_an_impossible_name_is_refused(queue: Any) -> None:
    assert repr(queue) in refusal(lambda: invoicing.options(queue=queue))
    assert repr(queue) in refusal(lambda: orchestration(queue=queue)(invoicing.fn))


def test_a_class_that_is_no_exception_cannot_be_declared() -> None:
    assert "int" in refusal(lambda: orchestration(raises=[int])(invoicing.fn))  # type: ignore[list-item]


def test_two_ways_of_decorating_give_the_same_kind() -> None:
    assert isinstance(orchestration(invoicing.fn), Orchestration)
    assert isinstance(orchestration()(invoicing.fn), Orchestration)
