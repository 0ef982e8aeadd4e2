"""FaultContract, level 6: every scenario of `HubContract` again, while one call in ten goes wrong.

    class TestFaults(FaultContract):
        harness = MyHarness

Calls of workers are refused, throttled, slow, done twice, done with their answer lost, lost, late, or sent in part, as
a seed draws it, and only as far as the clauses let a backend do so. The seed and each fault are in the log of a
scenario that fails.
"""

from perdure_conformance.faults._contract import FaultContract

__all__ = ["FaultContract"]
