"""Retries: how often, how soon, for which failures; recorded, so that they survive restarts."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from perdure import ActivityError, Failure, NonRetryable, Retry, activity, activity_info, orchestration
from perdure_conformance.scenarios._contract import Scenarios

if TYPE_CHECKING:
    from perdure import Activity
    from perdure.authoring import Definition
    from perdure_conformance.scenarios._scene import Scene

__all__ = ["RetryScenarios"]

HOUR = 3_600.0


class Transient(Exception):
    """What goes away."""


class Timed(Transient):
    """One kind of it."""


class Permanent(Exception):
    """What does not."""


def twice_only(failure: Failure) -> bool:
    """Go on for as long as it is the first message."""
    return failure.message == "1"


def at_once(failure: Failure) -> float:
    """Wait no time, whatever the policy says."""
    del failure
    return 0.0


class Flaky:
    """An activity that fails a number of times, and the times of its attempts.

    Args:
        scene: Where.
        failures: What each attempt raises, the last for all further ones; nothing means success.
        retry: Its policy.
    """

    def __init__(self, scene: Scene, failures: list[Exception | None], retry: Retry | None) -> None:
        self.began: list[float] = []
        self.numbers: list[int] = []
        self.keys: set[str] = set()

        @activity(retry=retry)
        async def flaky() -> str:
            raised = failures[min(len(self.began), len(failures) - 1)]
            self.began.append(scene.clock.now())
            self.numbers.append(activity_info().attempt)
            self.keys.add(activity_info().idempotency_key)
            if raised is not None:
                raise raised
            return "at last"

        self.activity: Activity[[], str] = flaky

    @property
    def waits(self) -> list[float]:
        """The seconds between attempts."""
        return [later - earlier for earlier, later in itertools.pairwise(self.began)]

    async def outcome(self, scene: Scene, *others: Definition) -> str:
        """Call it in an orchestration, and give its result or what it failed with; the worker knows others, too."""
        flaky = self.activity

        @orchestration
        async def insisting() -> str:
            try:
                return await flaky()
            except ActivityError as error:
                return f"gave up: {error.failure.message}"

        await scene.worker(insisting, flaky, *others)
        return await scene.outcome(insisting())


POLICIES: dict[str, tuple[dict[str, Any], list[Exception | None], int]] = {
    "none by default": ({"attempts": 1}, [Transient("1")], 1),
    "as many as asked for": ({"attempts": 4}, [Transient("1")], 4),
    "until it succeeds": ({"attempts": 4}, [Transient("1"), Transient("2"), None], 3),
    "without a limit": ({"attempts": 0}, [*[Transient("x")] * 7, None], 8),
    "of the named kinds": ({"retry_on": (Transient,)}, [Transient("1"), Permanent("2")], 2),
    "of their subclasses": ({"retry_on": (Transient,)}, [Timed("1"), None], 2),
    "of no other kinds": ({"retry_on": (Transient,)}, [Permanent("1")], 1),
    "by the name of the kind": ({"retry_on": ("ConnectionError",)}, [ConnectionError("1"), Permanent("2")], 2),
    "never of the named kinds": ({"never_on": (Permanent,)}, [Transient("1"), Permanent("2")], 2),
    "never is stronger": ({"retry_on": (Transient,), "never_on": (Timed,)}, [Timed("1")], 1),
    "not what says so itself": ({"attempts": 5}, [Transient("1"), NonRetryable("2")], 2),
    "as a handler decides": ({"attempts": 9, "handler": twice_only}, [Transient("1"), Transient("2")], 2),
}


class RetryScenarios(Scenarios):
    @pytest.mark.parametrize(("rules", "failures", "attempts"), POLICIES.values(), ids=POLICIES)
    async def test_it_is_tried_again(
        self, scene: Scene, rules: dict[str, Any], failures: list[Exception | None], attempts: int
    ) -> None:
        flaky = Flaky(scene, failures, Retry(**({"first_delay": 0.0} | rules)))

        told = await flaky.outcome(scene)

        assert flaky.numbers == list(range(1, attempts + 1))
        last = failures[min(attempts, len(failures)) - 1]
        assert told == ("at last" if last is None else f"gave up: {last}")

    async def test_without_a_policy_it_is_tried_once(self, scene: Scene) -> None:
        flaky = Flaky(scene, [Transient("1")], None)

        assert await flaky.outcome(scene) == "gave up: 1"
        assert flaky.numbers == [1]

    async def test_all_attempts_of_a_call_have_one_key_and_no_other_call_has_it(self, scene: Scene) -> None:
        """A service that sees the same key twice can recognise a repeated request."""
        flaky = Flaky(scene, [Transient("1"), Transient("2"), None], Retry(attempts=3, first_delay=0))

        @orchestration
        async def once_more() -> list[str]:
            return list(await asyncio.gather(flaky.activity(), flaky.activity()))

        await flaky.outcome(scene, once_more)
        assert len(flaky.keys) == 1

        await scene.outcome(once_more())
        assert len(flaky.keys) == 3

    async def test_delays_grow_as_the_policy_says(self, scene: Scene) -> None:
        unit = scene.moment / 4
        retry = Retry(attempts=5, first_delay=unit, backoff=2.0, max_delay=3 * unit)
        flaky = Flaky(scene, [Transient("x")], retry)

        await flaky.outcome(scene)

        least = [unit, 2 * unit, 3 * unit, 3 * unit]
        assert all(wait >= asked - 1e-5 for wait, asked in zip(flaky.waits, least, strict=True))

    async def test_retries_over_hours_wait_as_the_policy_says(self, scene: Scene) -> None:
        scene.needs_virtual_time("an hour is long")
        retry = Retry(attempts=4, first_delay=HOUR / 8, backoff=2.0, max_delay=HOUR / 3)
        flaky = Flaky(scene, [Transient("x")], retry)

        await flaky.outcome(scene)

        assert [round(wait / HOUR, 2) for wait in flaky.waits] == [0.12, 0.25, 0.33]

    async def test_a_handler_may_name_the_delay(self, scene: Scene) -> None:
        retry = Retry(attempts=3, first_delay=HOUR * 24, handler=at_once)
        flaky = Flaky(scene, [Transient("1"), None], retry)

        assert await flaky.outcome(scene) == "at last"

    async def test_no_attempt_begins_after_the_deadline(self, scene: Scene) -> None:
        retry = Retry(attempts=0, first_delay=scene.moment / 2, backoff=1.0, deadline=1.8 * scene.moment)
        flaky = Flaky(scene, [Transient("x")], retry)

        assert await flaky.outcome(scene) == "gave up: x"
        assert 1 <= len(flaky.began) <= 4

    async def test_jitter_makes_delays_shorter_and_never_longer_than_asked(self, scene: Scene) -> None:
        scene.needs_virtual_time("only virtual time is exact enough to tell")
        retry = Retry(attempts=8, first_delay=100.0, backoff=1.0, jitter=0.5)
        flaky = Flaky(scene, [Transient("x")], retry)

        await flaky.outcome(scene)

        assert all(49 < wait < 101 for wait in flaky.waits)
        assert len({round(wait, 3) for wait in flaky.waits}) > 1

    async def test_a_policy_of_the_call_replaces_that_of_the_activity(self, scene: Scene) -> None:
        flaky = Flaky(scene, [Transient("x")], Retry(attempts=9, first_delay=0))
        flaky.activity = flaky.activity.options(retry=Retry(attempts=2, first_delay=0))

        await flaky.outcome(scene)

        assert flaky.numbers == [1, 2]

    async def test_attempts_are_counted_on_by_the_worker_that_comes_after(self, scene: Scene) -> None:
        retry = Retry(attempts=3, first_delay=2 * scene.moment, backoff=1.0)
        flaky = Flaky(scene, [Transient("x")], retry)
        call = flaky.activity

        @orchestration
        async def insisting() -> str:
            return await call()

        first = await scene.worker(insisting, call)
        run = await scene.start(insisting())
        await scene.turned(run, 2)
        await scene.stop(first)
        await scene.worker(insisting, call)

        await scene.failure(run)
        assert flaky.numbers == [1, 2, 3]
