"""What code asks for, in the order of asking."""

from __future__ import annotations

import asyncio
import contextlib
import math

import pytest
from replay_support import Driven, activity, child, encode, event, failure, loop, result_of

from perdure.commands import (
    CancelTask,
    CancelTimer,
    Complete,
    CreateSubOrchestration,
    Fail,
    ScheduleTask,
    SetTimer,
)
from perdure.errors import ActivityError, Misuse, SubOrchestrationError
from perdure.events import (
    EventRaised,
    SubOrchestrationCompleted,
    SubOrchestrationFailed,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from perdure.replay import TurnDoomed


def test_an_awaited_activity_is_scheduled_and_its_result_is_what_await_gives() -> None:
    async def invoicing(order: str) -> str:
        return "invoice " + await activity("issue", order, queue="billing", timeout=30.0)

    driven = Driven(invoicing, "order-4711")

    assert driven.start() == (ScheduleTask(1, "issue", encode("order-4711"), "billing", 30.0, 1, 0, None),)
    assert driven.turn(TaskCompleted(1, encode("A7"))) == (Complete(encode("invoice A7")),)
    assert driven.execution.is_closed


def test_a_failed_activity_raises_where_it_is_awaited() -> None:
    async def careful() -> str:
        try:
            await activity("pay")
        except ActivityError as error:
            return f"caught {error.failure.message}"
        return "not reached"

    driven = Driven(careful)
    driven.start()

    assert result_of(driven.turn(TaskFailed(1, failure(message="declined")))) == "caught declined"


def test_one_counter_numbers_activities_children_and_timers_in_the_order_of_starting() -> None:
    async def mixed() -> None:
        await asyncio.gather(activity("a"), child("b"), asyncio.sleep(5), activity("c"))

    asked = Driven(mixed).start()

    assert [(type(each), each.seq) for each in asked] == [
        (ScheduleTask, 1),
        (CreateSubOrchestration, 2),
        (SetTimer, 3),
        (ScheduleTask, 4),
    ]


def test_a_call_that_is_made_but_not_awaited_asks_for_nothing() -> None:
    async def forgetful() -> str:
        activity("never")
        return "done"

    driven = Driven(forgetful)

    assert driven.start() == (Complete(encode("done")),)
    (unstarted,) = driven.execution.unstarted
    assert unstarted.what == "ActivityCall"
    assert f"{__file__}:" in unstarted.code_line
    assert "in forgetful" in unstarted.code_line
    assert "never awaited" in str(unstarted)


def test_a_task_asks_at_its_first_step_as_every_coroutine_does() -> None:
    async def ordered() -> None:
        later = asyncio.create_task(activity("second"))
        await activity("first")
        await later

    asked = Driven(ordered).start()

    assert [each.name for each in asked if isinstance(each, ScheduleTask)] == ["first", "second"]


def test_a_child_gets_a_derived_id_and_seed() -> None:
    async def parent() -> object:
        return await child("shipping", {"to": "x"}, version="2", queue="slow")

    driven = Driven(parent)
    (asked,) = driven.start()

    assert isinstance(asked, CreateSubOrchestration)
    assert (asked.instance_id, asked.name, asked.version, asked.queue) == ("order-1:1", "shipping", "2", "slow")
    assert asked.input == encode({"to": "x"})
    assert 0 < asked.seed < 2**63
    assert result_of(driven.turn(SubOrchestrationCompleted(1, encode("sent")))) == "sent"


def test_children_of_two_executions_have_different_ids() -> None:
    async def parent() -> None:
        await child("shipping")

    (first,), (second,) = Driven(parent).start(), Driven(parent, execution_count=1).start()

    assert isinstance(first, CreateSubOrchestration)
    assert isinstance(second, CreateSubOrchestration)
    assert (first.instance_id, second.instance_id) == ("order-1:1", "order-1:1.1")
    assert first.seed != second.seed


def test_the_id_of_a_child_of_a_long_named_parent_is_hashed_to_fit() -> None:
    async def parent() -> None:
        await asyncio.gather(child("a"), child("a"))

    first, second = Driven(parent, instance_id="x" * 255 + "y").start()
    (other, _) = Driven(parent, instance_id="x" * 255 + "z").start()

    assert isinstance(first, CreateSubOrchestration)
    assert isinstance(second, CreateSubOrchestration)
    assert isinstance(other, CreateSubOrchestration)
    assert len(first.instance_id) <= 256
    assert len({first.instance_id, second.instance_id, other.instance_id}) == 3


def test_an_id_that_code_gives_is_kept_and_checked() -> None:
    async def parent(id: str) -> object:
        return await child("shipping", id=id)

    (asked,) = Driven(parent, "ship-1").start()
    assert isinstance(asked, CreateSubOrchestration)
    assert asked.instance_id == "ship-1"

    (failed,) = Driven(parent, "x" * 300).start()
    assert isinstance(failed, Fail)
    assert failed.failure.type == "perdure.errors.Misuse"
    assert "1 to 256 characters" in failed.failure.message


def test_a_failed_child_raises_with_its_id() -> None:
    async def parent() -> list[str]:
        try:
            await child("shipping")
        except SubOrchestrationError as error:
            return [error.instance_id, error.failure.message]
        return []

    driven = Driven(parent)
    driven.start()

    assert result_of(driven.turn(SubOrchestrationFailed(1, failure(message="lost")))) == ["order-1:1", "lost"]


def test_sleeping_sets_a_timer_and_firing_wakes() -> None:
    async def sleepy() -> float:
        before = loop().now()
        await asyncio.sleep(86_400)
        return loop().time() - before

    driven = Driven(sleepy)

    assert driven.start() == (SetTimer(1, 1000.0 + 86_400),)
    assert driven.turn() == ()
    assert result_of(driven.turn(TimerFired(1), after=90_000)) == 90_000


@pytest.mark.parametrize("delay", [0, -5])
def test_a_timer_of_zero_or_less_fires_in_a_later_turn(delay: float) -> None:
    async def impatient() -> str:
        done = loop().create_future()
        loop().call_later(delay, done.set_result, "fired")
        return await done

    driven = Driven(impatient)

    assert driven.start() == (SetTimer(1, 1000.0 + delay),)
    assert result_of(driven.turn(TimerFired(1))) == "fired"


def test_cancelling_a_timer_that_fired_asks_for_nothing() -> None:
    async def late() -> None:
        handle = loop().call_later(1, lambda: None)
        await asyncio.sleep(2)
        handle.cancel()

    driven = Driven(late)
    driven.start()

    assert driven.turn(TimerFired(1), TimerFired(2)) == (Complete(encode(None)),)


def test_cancelling_a_timer_twice_asks_once() -> None:
    async def twice() -> None:
        handle = loop().call_later(1, lambda: None)
        handle.cancel()
        handle.cancel()
        assert handle.cancelled()

    assert Driven(twice).start() == (SetTimer(1, 1001.0), CancelTimer(1), Complete(encode(None)))


def test_a_timer_that_is_cancelled_after_it_fired_and_before_it_ran_does_not_run() -> None:
    """Both timers fire in one turn; the callback of the first cancels the second, whose firing is then too late."""

    async def racing() -> list[str]:
        ran: list[str] = []
        second = loop().call_later(2, ran.append, "second")
        loop().call_later(1, second.cancel)
        await asyncio.sleep(3)
        return ran

    driven = Driven(racing)
    driven.start()

    asked = driven.turn(TimerFired(2), TimerFired(1), TimerFired(3), after=5)
    assert asked[0] == CancelTimer(1)
    assert result_of(asked) == []


def test_an_infinite_timer_is_no_command_and_never_fires() -> None:
    async def endless() -> str:
        async with asyncio.timeout(math.inf):
            return await event("go")

    driven = Driven(endless)

    assert driven.start() == ()
    assert result_of(driven.turn(EventRaised("go", encode("gone"), "m"))) == "gone"


def test_a_timer_of_nan_seconds_is_refused() -> None:
    async def confused() -> None:
        loop().call_later(math.nan, print)

    (failed,) = Driven(confused).start()

    assert isinstance(failed, Fail)
    assert failed.failure.type == "perdure.errors.Misuse"
    assert "nan" in failed.failure.message


def test_cancelling_what_waits_for_an_activity_asks_to_cancel_it() -> None:
    async def impatient() -> str:
        try:
            async with asyncio.timeout(10):
                await activity("slow")
        except TimeoutError:
            return "gave up"
        return "not reached"

    driven = Driven(impatient)

    assert driven.start() == (SetTimer(1, 1010.0), ScheduleTask(2, "slow", encode(None), "default", 0.0, 1, 0, None))
    assert driven.turn(TimerFired(1), after=10) == (CancelTask(2), Complete(encode("gave up")))


def test_cancelling_what_waits_for_a_child_asks_to_cancel_it() -> None:
    async def parent() -> str:
        task = asyncio.create_task(child("slow"))
        await asyncio.sleep(0)
        task.cancel("no longer wanted")
        done, _ = await asyncio.wait({task})
        return f"cancelled {done.pop().cancelled()}"

    asked = Driven(parent).start()

    assert asked[1] == CancelTask(1)
    assert result_of(asked) == "cancelled True"


def test_cancelling_a_finished_call_asks_for_nothing() -> None:
    async def late() -> str:
        future = asyncio.ensure_future(activity("quick"))
        value = await future
        assert not future.cancel()
        return value

    driven = Driven(late)
    driven.start()

    assert driven.turn(TaskCompleted(1, encode("ok"))) == (Complete(encode("ok")),)


def test_cancelling_the_future_of_a_finished_activity_asks_for_nothing() -> None:
    async def late() -> bool:
        future = activity("quick")._start(loop())
        await future
        return future.cancel()

    driven = Driven(late)
    driven.start()

    assert result_of(driven.turn(TaskCompleted(1, encode("ok")))) is False


def test_the_late_outcome_of_what_was_cancelled_is_ignored() -> None:
    async def moving_on() -> str:
        task = asyncio.create_task(activity("slow"))
        await asyncio.sleep(0)
        task.cancel()
        return await event("go")

    driven = Driven(moving_on)
    driven.start()

    assert driven.turn(TaskCompleted(1, encode("late")), TaskFailed(1, failure())) == ()
    assert result_of(driven.turn(EventRaised("go", encode("on"), "m"))) == "on"


def test_the_late_outcome_of_a_cancelled_child_is_ignored() -> None:
    async def moving_on() -> str:
        for _ in range(2):
            task = asyncio.create_task(child("slow"))
            await asyncio.sleep(0)
            task.cancel()
        return await event("go")

    driven = Driven(moving_on)
    driven.start()

    assert driven.turn(SubOrchestrationCompleted(1, encode("late")), SubOrchestrationFailed(2, failure())) == ()


def test_a_callback_that_is_cancelled_before_it_runs_does_not_run() -> None:
    async def changing_its_mind() -> list[str]:
        ran: list[str] = []
        handle = loop().call_soon(ran.append, "ran")
        assert "append" in repr(handle)
        handle.cancel()
        await asyncio.sleep(0)
        return ran

    assert result_of(Driven(changing_its_mind).start()) == []


def test_a_timer_shows_when_it_fires() -> None:
    async def showing() -> str:
        return repr(loop().call_later(60, print))

    assert result_of(Driven(showing).start()) == "<ReplayTimerHandle timer until 1970-01-01T00:17:40+00:00 (seq 1)>"


def test_how_inputs_are_batched_into_turns_changes_no_command() -> None:
    async def fan_out() -> list[object]:
        async def chain(name: str) -> str:
            return await activity(f"{name}-b", await activity(f"{name}-a"))

        return await asyncio.gather(chain("x"), chain("y"), chain("z"))

    inputs = [TaskCompleted(seq, encode(seq)) for seq in (2, 1, 3, 4, 6, 5)]
    at_once, one_by_one = Driven(fan_out), Driven(fan_out)
    together = [*at_once.start(), *at_once.turn(*inputs)]
    apart = [*one_by_one.start(), *(command for each in inputs for command in one_by_one.turn(each))]

    assert together == apart


def test_a_result_that_does_not_fit_any_more_dooms_the_turn() -> None:
    """The annotation was changed by a deploy: another one can mend it, and nothing is an outcome of the instance."""

    def refuse(_payload: bytes) -> object:
        raise Misuse("not an order")

    async def decoding() -> None:
        with contextlib.suppress(Misuse):
            await activity("fetch", decode=refuse)

    driven = Driven(decoding)
    driven.start()

    with pytest.raises(TurnDoomed, match="activity fetch \\(seq 1\\): not an order") as doomed:
        driven.turn(TaskCompleted(1, encode(1)))
    assert doomed.value.reason == "input"


def test_what_else_decoding_a_result_raises_is_raised_where_the_code_awaits() -> None:
    def refuse(_payload: bytes) -> object:
        raise LookupError("no such order")

    async def decoding() -> str:
        try:
            await activity("fetch", decode=refuse)
        except LookupError as error:
            return f"caught {error}"
        return "not reached"

    driven = Driven(decoding)
    driven.start()

    assert result_of(driven.turn(TaskCompleted(1, encode(1)))) == "caught no such order"


def test_a_decoder_that_raises_stop_iteration_does_not_break_the_loop() -> None:
    async def decoding() -> str:
        try:
            await activity("fetch", decode=lambda _payload: next(iter(())))
        except RuntimeError as error:
            return str(error)
        return "not reached"

    driven = Driven(decoding)
    driven.start()

    assert "StopIteration" in result_of(driven.turn(TaskCompleted(1, encode(1))))
