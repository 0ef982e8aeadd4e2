"""BudgetContract, level 12: the calls that starting, turns and looking cost are counted, and bounded.

    class TestBudgets(BudgetContract):
        harness = MyHarness

A harness that counts the requests of the service underneath, by operation since its start, in a method
`requests() -> Mapping[str, int]`, has those bounded as well, by what the author writes into `requests_max`.
"""

from perdure_conformance.budgets._contract import BudgetContract

__all__ = ["BudgetContract"]
