"""Exceptions as values: everything that helps a person is kept, nothing can make taking them apart fail or grow."""

from __future__ import annotations

import msgspec
import pytest

from perdure.errors import ActivityError, Failure, NonRetryable, SubOrchestrationError
from perdure.failures import capture, describe


class Declined(Exception):
    class Hard(Exception):
        pass


def raised(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - a helper
    except BaseException as caught:  # noqa: BLE001 - what this test is about
        return caught


def chain_of(failure: Failure | None, link: str) -> list[str]:
    messages = []
    while failure is not None:
        messages.append(failure.message)
        failure = getattr(failure, link)
    return messages


def test_types_are_named_whole_and_builtins_bare() -> None:
    assert capture(ValueError()).type == "ValueError"
    assert capture(Declined.Hard()).type == f"{__name__}.Declined.Hard"


def test_the_message_and_the_line_are_kept() -> None:
    failure = capture(raised(Declined("no money")))

    assert failure.message == "no money"
    assert f'File "{__file__}"' in failure.traceback
    assert "raise error" in failure.traceback
    assert str(failure) == f"{__name__}.Declined: no money"


def test_an_exception_that_was_never_raised_has_no_traceback() -> None:
    assert capture(ValueError("new")).traceback == ""


@pytest.mark.parametrize("link", ["cause", "context"])
def test_chains_are_followed(link: str) -> None:
    first, second = ValueError("first"), KeyError("second")
    setattr(second, f"__{link}__", first)
    if link == "context":
        second.__suppress_context__ = False

    failure = capture(second)

    linked = getattr(failure, link)
    assert (linked.type, linked.message) == ("ValueError", "first")


def test_a_context_that_python_would_not_show_is_left_out() -> None:
    suppressed, caused = ValueError("x"), ValueError("y")
    suppressed.__context__ = KeyError("hidden")
    suppressed.__suppress_context__ = True
    caused.__context__ = caused.__cause__ = KeyError("shown once")

    assert capture(suppressed).context is None
    assert capture(caused).context is None
    assert capture(caused).cause is not None


@pytest.mark.parametrize("link", ["cause", "context"])
def test_a_chain_is_at_most_16_long(link: str) -> None:
    error = last = ValueError("0")
    for index in range(1, 40):
        older = ValueError(str(index))
        setattr(last, f"__{link}__", older)
        last.__suppress_context__ = False
        last = older

    assert chain_of(capture(error), link) == [str(index) for index in range(16)]


def test_circles_are_cut() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    group = ExceptionGroup("group", [second])
    second.__cause__ = group

    assert chain_of(capture(first), "cause") == ["first", "second", "group (1 sub-exception)"]
    assert capture(group).members[0].cause is None


@pytest.mark.parametrize("kind", [ActivityError, SubOrchestrationError])
def test_a_recorded_failure_goes_on_as_the_cause_so_that_chains_survive_every_hop(
    kind: type[ActivityError | SubOrchestrationError],
) -> None:
    recorded = Failure("bank.Empty", "no money", cause=Failure("OSError", "down"))

    once = capture(raised(kind("pay", failure=recorded)))
    twice = capture(raised(kind("child", failure=once)))

    assert once.cause == recorded
    assert chain_of(twice, "cause") == ["child", "pay", "no money", "down"]


def test_a_recorded_failure_with_a_cause_of_its_own_keeps_that_one() -> None:
    error = ActivityError("pay", failure=Failure("bank.Empty", "no money"))
    error.__cause__ = ValueError("more to the point")

    assert chain_of(capture(error), "cause") == ["pay", "more to the point"]


def test_the_members_of_a_group_are_kept_up_to_64() -> None:
    few = capture(ExceptionGroup("few", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])]))
    many = capture(ExceptionGroup("many", [ValueError(str(index)) for index in range(100)]))

    assert [each.type for each in few.members] == ["ValueError", "ExceptionGroup"]
    assert few.members[1].members[0].type == "KeyError"
    assert [each.message for each in many.members] == [str(index) for index in range(64)]


def test_a_tree_of_groups_has_at_most_256_failures() -> None:
    inner = [ExceptionGroup("inner", [ValueError(str(index)) for index in range(64)]) for _ in range(64)]

    failure = capture(ExceptionGroup("outer", inner))

    assert 1 + len(failure.members) + sum(len(each.members) for each in failure.members) == 256


def test_notes_are_kept() -> None:
    error = ValueError("x")
    error.add_note("while packing")
    error.add_note("for order 7")

    assert capture(error).notes == ("while packing", "for order 7")


@pytest.mark.parametrize("notes", ["not a list", None, 7, [b"bytes", 3]])
def test_notes_that_are_none_are_left_out(notes: object) -> None:
    error = ValueError("x")
    error.__notes__ = notes  # type: ignore[assignment]

    assert capture(error).notes == ()


def test_non_retryable_is_said() -> None:
    assert capture(NonRetryable("never again")).retryable is False
    assert capture(ValueError("x")).retryable is True


@pytest.mark.parametrize("broken", [ValueError("broken"), RecursionError()])
def test_an_exception_whose_text_cannot_be_had_is_captured_all_the_same(broken: Exception) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise broken

    assert capture(Mute()).message == f"(its __str__ raised {type(broken).__name__})"


def test_long_texts_are_cut() -> None:
    error = ValueError("m" * 10_000)
    error.add_note("n" * 10_000)
    failure = capture(error)

    assert len(failure.message) == 4_096
    assert failure.message.endswith("…")
    assert len(failure.notes[0]) == 4_096


def test_of_a_long_traceback_the_end_is_kept() -> None:
    space: dict[str, object] = {}
    body = "".join(f"def f{index}():\n    f{index + 1}()\n" for index in range(400))
    source = body + "def f400():\n    raise ValueError('deep')\n"
    exec(compile(source, "a/rather/long/path/to/the/module.py", "exec"), space)
    with pytest.raises(ValueError, match="deep") as caught:
        space["f0"]()  # type: ignore[operator]

    failure = capture(caught.value)

    assert len(failure.traceback) == 16_384
    assert failure.traceback.startswith("…")
    assert "f400" in failure.traceback
    assert "f1\n" not in failure.traceback


def test_frames_of_perdure_and_asyncio_are_left_out_unless_there_are_no_others() -> None:
    def failing_in(module: str) -> Failure:
        space: dict[str, object] = {"__name__": module}
        exec(compile("def inner():\n    raise ValueError\n", f"<{module}>", "exec"), space)
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the one above
            space["inner"]()  # type: ignore[operator]
        return capture(caught.value)

    assert "<perdure.worker>" not in failing_in("perdure.worker").traceback
    assert "<asyncio.tasks>" not in failing_in("asyncio.tasks").traceback
    assert "<perdure_shop>" in failing_in("perdure_shop").traceback
    bare = ValueError("all inside")
    inside = failing_in("perdure.inside")
    assert "test_failures.py" in inside.traceback
    assert capture(bare.with_traceback(None)).traceback == ""


def test_a_traceback_of_our_frames_only_is_kept() -> None:
    space: dict[str, object] = {"__name__": "perdure.inside"}
    source = "def caught():\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n        return error\n"
    exec(compile(source, "<in>", "exec"), space)

    assert "<in>" in capture(space["caught"]()).traceback  # type: ignore[operator]


def test_a_failure_can_always_be_recorded() -> None:
    failure = capture(raised(ValueError("lone \ud800 surrogate")))

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(failure), type=Failure) == failure
    assert failure.message == "lone ? surrogate"


def test_a_failure_is_shown_in_the_order_of_a_python_traceback() -> None:
    failure = Failure(
        "shop.Failed",
        "order 7",
        traceback='  File "shop.py", line 3, in buy\n',
        cause=Failure("bank.Empty", "no money", context=Failure("OSError", "down")),
        notes=("while packing",),
        retryable=False,
    )

    assert describe(failure) == (
        "OSError: down\n"
        "\n"
        "During handling of the above failure, another one occurred:\n"
        "\n"
        "bank.Empty: no money\n"
        "\n"
        "The above failure was the direct cause of the following one:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "shop.py", line 3, in buy\n'
        "shop.Failed: order 7 (not retryable)\n"
        "while packing"
    )


def test_the_members_of_a_group_are_shown_below_it() -> None:
    group = Failure("ExceptionGroup", "two", members=(Failure("ValueError", "a\nb"), Failure("KeyError", "")))

    assert describe(group) == (
        "ExceptionGroup: two\n  + member 1 of 2\n  | ValueError: a\n  | b\n  + member 2 of 2\n  | KeyError"
    )
