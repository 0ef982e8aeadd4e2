"""FaultContract: the scenarios of level 5, told again on faulty lines."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, ClassVar

import pytest
import pytest_asyncio

from perdure_conformance._report.counts import note_count
from perdure_conformance.faults._faults import Faults
from perdure_conformance.scenarios import HubContract
from perdure_conformance.scenarios._scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from perdure_conformance.harness import Harness
    from perdure_conformance.scenarios._line import Line

__all__ = ["NOT_UNDER_FAULTS", "FaultContract"]

logger = logging.getLogger("perdure_conformance.faults")

_AGAIN = "an activity whose outcome is in doubt is run again, and this counts how often it ran"
_TOGETHER = "what is late comes together with what follows, and this counts turns"
_TIMES = "waits are longer, or begin again, when a call is slow or made again"
NOT_UNDER_FAULTS: dict[str, str] = {
    **dict.fromkeys(
        (
            "test_a_fan_out_of_hundreds_takes_few_turns",
            "test_a_long_activity_keeps_its_lease_and_runs_once",
            "test_a_plain_function_is_given_back_though_its_thread_goes_on",
            "test_a_policy_of_the_call_replaces_that_of_the_activity",
            "test_a_stop_that_does_not_wait_gives_back_what_runs_at_once",
            "test_an_activity_over_its_timeout_is_broken_off_and_fails",
            "test_an_activity_of_a_killed_worker_is_begun_again_by_another",
            "test_an_activity_that_a_killed_worker_had_received_is_begun_again_as_well",
            "test_attempts_are_counted_on_by_the_worker_that_comes_after",
            "test_each_of_many_is_tried_again_by_itself",
            "test_instances_talk_to_each_other_by_activities",
            "test_it_is_tried_again",
            "test_many_stops_do_not_make_an_activity_look_like_the_cause_of_crashes",
            "test_results_that_were_recorded_before_a_crash_are_not_asked_for_again",
            "test_two_workers_share_a_fan_out",
            "test_what_a_killed_worker_comes_to_do_later_has_no_effect",
            "test_without_a_policy_it_is_tried_once",
        ),
        _AGAIN,
    ),
    **dict.fromkeys(
        (
            "test_a_cache_that_is_too_small_costs_time_and_nothing_else",
            "test_a_chain_gives_its_results_in_order_over_as_many_turns",
            "test_each_turn_says_which_worker_ran_it",
        ),
        _TOGETHER,
    ),
    **dict.fromkeys(
        (
            "test_delays_grow_as_the_policy_says",
            "test_jitter_makes_delays_shorter_and_never_longer_than_asked",
            "test_r15_an_instance_that_takes_processes_down_is_set_aside_and_others_go_on",
            "test_retries_over_hours_wait_as_the_policy_says",
        ),
        _TIMES,
    ),
    "test_an_unknown_activity_that_waited_for_long_is_as_fresh_as_when_it_was_sent": (
        "each time that it is handed on it may be doubled, and it is 720 times"
    ),
}
"""Scenarios that say something which need not hold then, and why not."""


class FaultyScene(Scene):
    """A scene in which calls go wrong until it is over; then it is judged as any other."""

    def __init__(self, harness: Harness, faults: Faults) -> None:
        super().__init__(harness)
        self._faults = faults

    def line(self, *, works: bool) -> Line:
        return self._faults.line(works=works)

    async def judge(self) -> None:
        self._faults.is_over = True
        await self.finish(self._faults.settle())
        await super().judge()


class FaultContract(HubContract):
    """Orchestrations do what they do everywhere, whatever becomes of calls to the hub.

    Attributes:
        one_in: Every so-maniest scenario is told, by its name, the others are deselected; 1 tells all.
        rate: Share of calls that something happens to.
        seed: What decides; None for another one in each run. A failure tells it.
    """

    level = 6
    again = "under faults"
    one_in: ClassVar[int] = 1
    rate: ClassVar[float] = 0.1
    seed: ClassVar[int | None] = None

    @pytest_asyncio.fixture(name="scene")
    async def open_scene(self, harness: Harness, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
        """Give each scenario an empty hub, far away on bad lines."""
        if reason := NOT_UNDER_FAULTS.get(request.function.__name__):
            pytest.skip(reason)
        seed = secrets.randbelow(2**32) if self.seed is None else self.seed
        logger.warning("seed = %d", seed)
        faults = Faults(f"{seed} {request.node.name}", harness.environment.clock, harness.moment, self.rate)
        try:
            async with FaultyScene(harness, faults) as scene:
                yield scene
        finally:
            note_count(request.node, "faults", faults.count)
