"""Every contract on the backends of two URLs, as test classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_conformance import CommitterContract, HistoryStoreContract, WorkQueueContract
from perdure_conformance._run.simulation import SimulationContract
from perdure_conformance._run.urls import harness_of
from perdure_conformance.budgets import BudgetContract
from perdure_conformance.crashes import CrashContract
from perdure_conformance.faults import FaultContract
from perdure_conformance.scenarios import HubContract
from perdure_conformance.torture import TortureContract

if TYPE_CHECKING:
    from perdure_conformance.harness import Contract

__all__ = ["CONTRACTS", "contracts_of"]

try:
    from perdure_conformance.linearizability import LinearizabilityContract
    from perdure_conformance.model import ModelContract
except ModuleNotFoundError as problem:  # Hypothesis is an extra: `pip install "perdure-conformance[model]"`
    if problem.name != "hypothesis":
        raise
    searched: dict[str, type[Contract]] = {}
else:
    searched = {"TestModel": ModelContract, "TestLinearizability": LinearizabilityContract}

CONTRACTS: dict[str, type[Contract]] = {
    "TestHistory": HistoryStoreContract,
    "TestQueue": WorkQueueContract,
    "TestCommitter": CommitterContract,
    "TestHub": HubContract,
    **searched,
    "TestFaults": FaultContract,
    "TestCrashes": CrashContract,
    "TestBudgets": BudgetContract,
    "TestTorture": TortureContract,
    "TestSimulation": SimulationContract,
}


def contracts_of(store: str, queue: str, moment_seconds: float | None) -> dict[str, type[Contract]]:
    """Make a test class of each contract.

    Args:
        store: With `{unique}` in it.
        queue: With `{unique}` in it.
        moment_seconds: `Harness.moment`; None for what is usual for these URLs.

    Raises:
        Misuse: No installed provider offers one of them.
    """
    content = {"harness": harness_of(store, queue, moment_seconds=moment_seconds), "__module__": __name__}
    return {name: type(name, (contract,), content) for name, contract in CONTRACTS.items()}
