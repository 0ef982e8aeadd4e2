"""Failures: what is raised where, with which causes, and how an instance ends by them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from perdure import ActivityError, activity, orchestration
from perdure_conformance.scenarios._contract import Scenarios
from perdure_conformance.scenarios._samples import double, fail, number

if TYPE_CHECKING:
    from perdure import Failure
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["FailureScenarios"]


class PaymentDeclined(Exception):
    """What a shop knows of."""


class CardExpired(PaymentDeclined):
    """One reason of it."""


class Awkward(Exception):
    """One that cannot be made again from its message."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Unspeakable(Exception):
    """One that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@activity(raises=[PaymentDeclined])
async def decline(amount: int) -> None:
    try:
        raise KeyError("the card")  # noqa: TRY301 - the story is one exception raised from another
    except KeyError as error:
        declined = CardExpired(f"of {amount}")
        declined.add_note("ask for another card")
        raise declined from error


@activity(raises=[Awkward])
async def awkward() -> None:
    raise Awkward(7, reason="so")


@activity
async def unspeakable() -> None:
    raise Unspeakable


@orchestration
async def paying() -> None:
    await decline(3)


@orchestration
async def catching() -> str:
    try:
        await decline(3)
    except PaymentDeclined as error:
        return f"{type(error).__name__} {error} by {type(error.__cause__).__name__}"
    return "?"


@orchestration
async def catching_undeclared() -> str:
    try:
        await fail("it")
    except ActivityError as error:
        return f"{error.name} {error.failure}"
    return "?"


@orchestration
async def catching_awkward() -> str:
    try:
        await awkward()
    except Awkward as error:
        return str(error)
    return "?"


@orchestration
async def speaking() -> None:
    await unspeakable()


@orchestration
async def raising_before_anything() -> None:
    raise LookupError("at once")


@orchestration
async def raising_after_an_activity() -> None:
    await double(1)
    raise LookupError("later")


@orchestration
async def raising_another() -> None:
    try:
        await fail("first")
    except ActivityError as error:
        raise RuntimeError("second") from error


@orchestration
async def raising_while_handling() -> None:
    try:
        await fail("first")
    except ActivityError:
        raise RuntimeError("second")  # noqa: B904 - that is the point


@orchestration
async def grouping() -> None:
    async with asyncio.TaskGroup() as group:
        for each in "ab":
            group.create_task(fail(each))


@orchestration
async def compensating() -> list[str]:
    """Do it again the other way round when the second half fails."""
    done = []
    try:
        done.append(f"booked {await double(1)}")
        await fail("no seats")
    except ActivityError:
        done.append(f"returned {await double(-1)}")
    finally:
        done.append(f"told {await double(0)}")
    return done


@orchestration
async def failing_in_cleanup() -> None:
    try:
        await fail("first")
    finally:
        await fail("second")


@orchestration
async def cancelling_itself() -> None:
    raise asyncio.CancelledError("by itself")


@orchestration(raises=[PaymentDeclined])
async def declining() -> None:
    raise PaymentDeclined("all of it")


@orchestration
async def with_a_declining_child() -> str:
    try:
        await declining()
    except PaymentDeclined as error:
        return f"{error} by {type(error.__cause__).__name__}"
    return "?"


@orchestration
async def bottom() -> None:
    await fail("deep down")


@orchestration
async def middle() -> None:
    await bottom()


@orchestration
async def top() -> None:
    await middle()


@orchestration
async def unencodable() -> object:
    return object()


@activity
async def odd() -> object:
    return object()


@orchestration
async def asking_for_the_odd() -> str:
    try:
        await odd()
    except ActivityError as error:
        return error.failure.type
    return "?"


@orchestration
async def failing_beside_a_wait() -> None:
    await asyncio.gather(number(), fail("beside"))


ENDS = {
    "before anything": (raising_before_anything, "LookupError", "at once"),
    "after an activity": (raising_after_an_activity, "LookupError", "later"),
    "of an activity": (bottom, "ActivityError", "deep down"),
    "from another": (raising_another, "RuntimeError", "second"),
    "in its cleanup": (failing_in_cleanup, "ActivityError", "second"),
    "cancelled by itself": (cancelling_itself, "CancelledError", "by itself"),
    "beside a wait": (failing_beside_a_wait, "ActivityError", "beside"),
    "with a result that cannot be recorded": (unencodable, "Misuse", "object"),
}

RAISED = {
    "stop iteration": StopIteration("x"),
    "exit": SystemExit(3),
    "key error": KeyError("k"),
    "cancelled": asyncio.CancelledError("by itself"),
    "long message": ValueError("x" * 100_000),
    "lone surrogate": ValueError("\ud800"),
    "no message": ValueError(),
    "group": ExceptionGroup("both", [ValueError("a"), KeyError("b")]),
}


def types_in(failure: Failure | None) -> list[str]:
    """List the types along a chain of causes, without their modules."""
    return [] if failure is None else [failure.type.rpartition(".")[2], *types_in(failure.cause)]


class FailureScenarios(Scenarios):
    @pytest.mark.parametrize(("code", "kind", "message"), ENDS.values(), ids=ENDS)
    async def test_what_the_code_raises_fails_its_instance(
        self, scene: Scene, code: object, kind: str, message: str
    ) -> None:
        await scene.worker(code, double, fail)  # type: ignore[arg-type]

        run = await scene.start(code())  # type: ignore[operator]

        failure = await scene.failure(run)
        assert failure.type.endswith(kind)
        assert message in failure.message
        assert (await run.summary()).status == "Failed"

    async def test_a_declared_exception_is_caught_as_itself_and_by_its_parents(self, scene: Scene) -> None:
        await scene.worker(catching, decline)

        assert await scene.outcome(catching()) == "CardExpired of 3 by ActivityError"

    async def test_an_exception_that_was_not_declared_is_an_activity_error_that_tells_it(self, scene: Scene) -> None:
        await scene.worker(catching_undeclared, fail)

        assert await scene.outcome(catching_undeclared()) == "fail ValueError: it"

    async def test_an_exception_that_takes_more_than_a_message_is_caught_all_the_same(self, scene: Scene) -> None:
        await scene.worker(catching_awkward, awkward)

        assert await scene.outcome(catching_awkward()) == "7: so"

    async def test_an_exception_that_cannot_be_shown_is_a_failure_all_the_same(self, scene: Scene) -> None:
        await scene.worker(speaking, unspeakable)

        failure = await scene.failure(speaking())

        assert types_in(failure) == ["ActivityError", "Unspeakable"]

    async def test_a_failure_reaches_the_client_with_causes_notes_and_the_line_that_raised_it(
        self, scene: Scene
    ) -> None:
        await scene.worker(paying, decline)

        failure = await scene.failure(paying())

        assert types_in(failure)[0] == "CardExpired"
        assert "KeyError" in types_in(failure)
        links = [failure, failure.cause, failure.cause and failure.cause.cause]
        assert any(link is not None and "ask for another card" in link.notes for link in links)
        assert any(link is not None and "_failures.py" in link.traceback for link in links)

    async def test_a_chain_of_causes_survives_each_hop(self, scene: Scene) -> None:
        await scene.worker(top, middle, bottom, fail)

        failure = await scene.failure(top())

        hops = ["SubOrchestrationError", "SubOrchestrationError", "ActivityError", "ValueError"]
        assert [kind for kind in types_in(failure) if kind in hops] == hops

    async def test_what_was_being_handled_is_told_as_context(self, scene: Scene) -> None:
        await scene.worker(raising_while_handling, fail)

        failure = await scene.failure(raising_while_handling())

        assert failure.cause is None
        assert types_in(failure.context) == ["ActivityError", "ValueError"]

    async def test_a_group_reaches_the_client_with_its_members(self, scene: Scene) -> None:
        await scene.worker(grouping, fail)

        failure = await scene.failure(grouping())

        assert failure.type == "ExceptionGroup"
        assert failure.members
        assert all(types_in(member) == ["ActivityError", "ValueError"] for member in failure.members)

    async def test_code_that_handles_a_failure_may_call_activities_to_make_up_for_it(self, scene: Scene) -> None:
        await scene.worker(compensating, double, fail)

        assert await scene.outcome(compensating()) == ["booked 2", "returned -2", "told 0"]

    async def test_a_declared_exception_of_a_child_is_caught_as_itself(self, scene: Scene) -> None:
        await scene.worker(with_a_declining_child, declining)

        assert await scene.outcome(with_a_declining_child()) == "all of it by SubOrchestrationError"

    @pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
    @pytest.mark.parametrize("is_async", [True, False], ids=["async", "sync"])
    async def test_whatever_an_activity_raises_is_its_failure(
        self, scene: Scene, raised: BaseException, *, is_async: bool
    ) -> None:
        """It must neither hang anything nor take the worker down."""

        @activity(name="raise")
        async def on_loop() -> None:
            raise raised

        @activity(name="raise")
        def in_thread() -> None:
            raise raised

        chosen = on_loop if is_async else in_thread

        @orchestration
        async def asking() -> str:
            try:
                await chosen()
            except ActivityError as caught:
                return str(caught.failure)
            return "?"

        await scene.worker(asking, chosen)

        # Python itself makes a RuntimeError of what must not leave a coroutine, and names it there.
        assert type(raised).__name__ in await scene.outcome(asking())

    async def test_a_result_that_cannot_be_recorded_is_the_activitys_failure(self, scene: Scene) -> None:
        await scene.worker(asking_for_the_odd, odd)

        assert await scene.outcome(asking_for_the_odd()) == "perdure.errors.Misuse"

    async def test_a_failed_instance_leaves_its_neighbours_alone(self, scene: Scene) -> None:
        await scene.worker(bottom, compensating, double, fail)
        runs = [await scene.start(bottom() if each % 2 else compensating(), id=f"i{each}") for each in range(6)]

        await scene.finish(asyncio.gather(*(run.result() for run in runs), return_exceptions=True))

        assert await scene.ids(status=["Failed"]) == ["i1", "i3", "i5"]
        assert await scene.ids(status=["Completed"]) == ["i0", "i2", "i4"]
