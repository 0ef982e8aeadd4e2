"""The promises of `perdure.spi` as tests that any backend can run.

    class MyHarness(Harness):
        def make_store(self) -> HistoryStore: ...
        def make_queue(self) -> WorkQueue: ...

    class TestHistory(HistoryStoreContract):
        harness = MyHarness

    class TestQueue(WorkQueueContract):
        harness = MyHarness

    class TestCommitter(CommitterContract):
        harness = MyHarness

    class TestHub(HubContract):
        harness = MyHarness

Each test is named after its clause (`test_h2_…`) and says in its docstring why the clause matters.
"""

import pytest

# Before they are imported: a failing assertion in a contract then shows its values, as one in the author's own file.
pytest.register_assert_rewrite(
    "perdure_conformance.committer",
    "perdure_conformance.harness",
    "perdure_conformance.history",
    "perdure_conformance.material",
    "perdure_conformance.objects",
    "perdure_conformance.queue",
)

from perdure_conformance.committer import CommitterContract  # noqa: E402 - see above
from perdure_conformance.harness import Backend, Contract, Harness  # noqa: E402 - see above
from perdure_conformance.history import HistoryStoreContract  # noqa: E402 - see above
from perdure_conformance.objects import ObjectsContract, ObjectsHarness  # noqa: E402 - see above
from perdure_conformance.queue import WorkQueueContract  # noqa: E402 - see above
from perdure_conformance.scenarios import HubContract  # noqa: E402 - see above

__all__ = [
    "Backend",
    "CommitterContract",
    "Contract",
    "Harness",
    "HistoryStoreContract",
    "HubContract",
    "ObjectsContract",
    "ObjectsHarness",
    "WorkQueueContract",
]
