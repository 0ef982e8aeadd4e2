"""TortureContract: real worker processes on one hub, killed on purpose, for any backend that several can reach.

    class MyHarness(Harness):
        def addresses(self) -> Addresses:
            return Addresses(store="mine://place")

    class TestTorture(TortureContract):
        harness = MyHarness

`KillContract` is the half of it that kills workers: for one more pair of store and queue, say. The environment variable
`PERDURE_TORTURE_KILLS` says how many SIGKILLs the long test takes, instead of `kills`. `DefectsContract` shows, on
workers that are wrong on purpose, that the torture can fail.

`_kills` and `_contract` hold the tests, `_place` what they are made of, `_board` how kills are aimed and counted.
"""

import pytest

# Before they are imported: a failing assertion then shows its values.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("_contract", "_defects", "_errands", "_kills", "_place"))
)

from perdure_conformance.torture._board import Phase, Row  # noqa: E402 - see above
from perdure_conformance.torture._contract import TortureContract  # noqa: E402 - see above
from perdure_conformance.torture._defects import DefectsContract  # noqa: E402 - see above
from perdure_conformance.torture._kills import KillContract  # noqa: E402 - see above

__all__ = ["DefectsContract", "KillContract", "Phase", "Row", "TortureContract"]
