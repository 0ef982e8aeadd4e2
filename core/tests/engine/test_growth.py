"""What a turn costs does not depend on how much is open. Counted in executed lines of Python, not in time."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from engine_support import EPOCH, Story, completed, raise_event, raised, task, task_ended, timer, timer_due

from perdure import events
from perdure.engine import classify, inputs_of, plan_resend

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

FEW, MANY = 10, 10_000
SLACK = 3
"""A heap of 10,000 is about three times as deep as one of 10."""


def count_lines(act: Callable[[], object]) -> int:
    """Count the lines that are executed; in a thread, so that no other tracer is disturbed."""
    count = 0
    problems: list[BaseException] = []

    def trace(_frame: FrameType, kind: str, _: object) -> Any:
        nonlocal count
        count += kind == "line"  # a loop that is written on one line counts each time around
        return trace

    def run() -> None:
        sys.settrace(trace)
        try:
            act()
        except BaseException as problem:  # noqa: BLE001 - raised again where somebody sees it
            problems.append(problem)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return count


def open_much(amount: int) -> Story:
    """An instance with so many open activities (1 …) and timers of growing length."""
    story = Story()
    tasks = [task(seq) for seq in range(1, amount + 1)]
    timers = [timer(amount + seq, 1000.0 + seq) for seq in range(1, amount + 1)]
    story.turn(*tasks, *timers, at=1.0)
    return story


def cost(act: Callable[[Story, int], object], amount: int) -> int:
    story = open_much(amount)
    return count_lines(lambda: act(story, amount))


def assert_steady(act: Callable[[Story, int], object]) -> None:
    few, many = cost(act, FEW), cost(act, MANY)

    assert 0 < many < SLACK * few


def test_recording_one_outcome_is_as_cheap_with_10_000_open_tasks() -> None:
    def act(story: Story, amount: int) -> None:
        inputs = inputs_of(story.state, [task_ended(5)], EPOCH + 2.0)
        story.turn(task(3 * amount), inputs=inputs, at=2.0)

    assert_steady(act)


def test_firing_one_timer_is_as_cheap_with_10_000_open_timers() -> None:
    def act(story: Story, _: int) -> None:
        inputs = inputs_of(story.state, [], EPOCH + 1001.0)
        story.turn(inputs=inputs, at=1001.0)
        assert len(inputs) == 1

    assert_steady(act)


def test_setting_and_canceling_a_timer_is_as_cheap_with_10_000_open_timers() -> None:
    def act(story: Story, amount: int) -> None:
        story.turn(timer(3 * amount, 50.0), at=2.0)
        story.turn(events.TimerCanceled(3 * amount), events.TimerCanceled(amount + 5), at=3.0)

    assert_steady(act)


def test_judging_a_message_is_as_cheap_with_10_000_open_tasks_and_timers() -> None:
    def act(story: Story, _: int) -> None:
        for message in (task_ended(5), timer_due(story.state.version), raise_event("e1")):
            classify(story.state, message, now=EPOCH + 2.0, authoritative=True)

    assert_steady(act)


def test_settling_a_duplicate_is_as_cheap_with_10_000_open_tasks_that_are_sent() -> None:
    """A queue that repeats each of 10,000 messages must not have 10,000 tasks looked at each time."""

    def act(story: Story, _: int) -> None:
        assert plan_resend(story.state).send == ()

    assert_steady(act)


def test_sending_one_turn_again_is_as_cheap_with_10_000_older_tasks() -> None:
    def act(story: Story, amount: int) -> None:
        story.turn(task(3 * amount), inputs=[raised("e1"), completed(5)], at=2.0, is_sent=False)
        assert len(plan_resend(story.state).send) == 1

    assert_steady(act)


def test_reading_a_history_costs_as_much_as_it_is_long() -> None:
    """10,000 timers that fire one by one: ten times the turns, about ten times the cost."""

    def cost_of_firing(amount: int) -> int:
        story = Story()
        story.turn(*[timer(seq, float(seq)) for seq in range(1, amount + 1)], at=0.0)
        for seq in range(1, amount + 1):
            story.turn(inputs=[events.TimerFired(seq)], at=float(seq))
        return count_lines(story.reload)

    assert cost_of_firing(1000) < 20 * cost_of_firing(100)
