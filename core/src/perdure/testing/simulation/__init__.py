"""Deterministic simulation: clients, workers and user code in one thread, on virtual time, under faults from a seed.

simulation = Simulation(Scenario(orchestration=shop, args=("order-1",), definitions=(charge, ship)))
outcome = simulation.run(seed=7)
assert outcome.ok, tell(outcome, simulation.shrink(outcome))
"""

from perdure.testing.simulation import stories
from perdure.testing.simulation._faults import Fault
from perdure.testing.simulation._report import tell
from perdure.testing.simulation._run import Simulation
from perdure.testing.simulation._scenario import FINDINGS, Outcome, Scenario

__all__ = ["FINDINGS", "Fault", "Outcome", "Scenario", "Simulation", "stories", "tell"]
