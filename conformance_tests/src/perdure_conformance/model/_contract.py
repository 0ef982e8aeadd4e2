"""ModelContract: the state machines as tests."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from perdure_conformance._report.counts import note_count
from perdure_conformance.harness import Contract
from perdure_conformance.model._history_rules import HistoryMachine
from perdure_conformance.model._hub_rules import HubMachine
from perdure_conformance.model._queue_rules import QueueMachine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from perdure_conformance.model._machine import Machine

__all__ = ["ModelContract"]


class ModelContract(Contract):
    """Random calls through two clients are answered as a small model answers them.

    Attributes:
        example_count: How many lives of a backend each test tries.
        step_count: How many calls are made in each.
        repeatable: The same examples in every run.
        shortens: A story that fails is shortened before it is shown; in real time it never is.
    """

    level = 3
    example_count: ClassVar[int] = 50
    step_count: ClassVar[int] = 30
    repeatable: ClassVar[bool] = False
    shortens: ClassVar[bool] = True

    async def test_histories_are_what_the_model_says_after_each_call(
        self, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        """A clause's test tries what its author thought of; these are the orders that nobody thought of."""
        await self._try_out(HistoryMachine, tmp_path, request.node)

    async def test_messages_are_what_the_model_says_after_each_call(
        self, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        """Leases end, workers die, messages come again: none is lost, and none is with two."""
        await self._try_out(QueueMachine, tmp_path, request.node)

    async def test_steps_do_what_the_model_says(self, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        """A turn's record, children, messages and inputs belong together, whatever else happens to them."""
        await self._try_out(HubMachine, tmp_path, request.node)

    async def _try_out(self, machine: type[Machine], folder: Path, test: pytest.Item) -> None:
        numbers = itertools.count()
        mine = type(machine.__name__, (machine,), {"harness_class": self.harness, "folder": folder, "numbers": numbers})
        # Hypothesis calls; a machine runs its own loop, which it cannot in the thread of another one.
        await asyncio.to_thread(run_state_machine_as_test, mine, settings=self._settings())
        note_count(test, "examples", next(numbers))

    def _settings(self) -> settings:
        # In real time, a shorter story is not worth the leases to wait for.
        shortens = self.shortens and self.harness.time_is_virtual
        return settings(
            max_examples=self.example_count,
            stateful_step_count=self.step_count,
            derandomize=self.repeatable,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink] if shortens else [Phase.generate],
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )
