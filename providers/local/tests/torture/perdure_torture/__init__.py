"""Real worker processes on one hub, killed on purpose. For any provider whose hubs several processes can open.

`contract` holds the tests, `torture` what they are made of, `board` how kills are aimed and counted.
"""

import pytest

pytest.register_assert_rewrite("perdure_torture.contract", "perdure_torture.errands")

from perdure_torture.contract import DefectsContract, TortureContract  # noqa: E402 - asserts are rewritten by then
from perdure_torture.torture import Setting  # noqa: E402

__all__ = ["DefectsContract", "Setting", "TortureContract"]
