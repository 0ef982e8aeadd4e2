"""SimulationContract, level 8: core itself on virtual time and `memory:`, whatever backend the run is about."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from perdure.testing.simulation import Scenario, Simulation, stories, tell
from perdure_conformance._report.counts import note_count
from perdure_conformance.harness import Contract

if TYPE_CHECKING:
    import pytest

    from perdure.authoring import Orchestration

__all__ = ["SimulationContract"]

WORKERS = 2
DEFINITIONS = (
    *(stories.add, stories.double, stories.third_time, stories.never, stories.slow),
    *(stories.child, *stories.STORIES),
)


class SimulationContract(Contract):
    """Core, with workers that die, pause and are cut off, in one thread on virtual time; no backend takes part.

    Attributes:
        seed_count: How many sets of faults are tried.
    """

    level = 8
    seed_count: ClassVar[int] = 300

    async def test_every_instance_ends_as_it_does_without_faults(self, request: pytest.FixtureRequest) -> None:
        """The same seed gives the same run: a failure can be looked at as often as it takes."""
        # A simulation has a loop of its own, which cannot run inside of this one.
        fault_count = await asyncio.to_thread(self._simulate)
        note_count(request.node, "seeds", self.seed_count)
        note_count(request.node, "simulated_faults", fault_count)

    def _simulate(self) -> int:
        simulations = [_simulation_of(story) for story in stories.STORIES]
        fault_count = 0
        for seed in range(self.seed_count):
            simulation = simulations[seed % len(simulations)]
            outcome = simulation.run(seed)
            assert outcome.ok, tell(outcome, simulation.shrink(outcome))
            fault_count += len(outcome.faults)
        return fault_count


def _simulation_of(story: Orchestration[..., Any]) -> Simulation:
    events = stories.EVENTS if story is stories.waiting else ()
    return Simulation(Scenario(orchestration=story, definitions=DEFINITIONS, workers=WORKERS, events=events))
