"""ObjectsContract: O1 to O5, for authors of services of objects.

class MyHarness(ObjectsHarness):
    def make_objects(self) -> ConditionalObjects: ...

class TestObjects(ObjectsContract):
    harness = MyHarness
"""

import pytest

# Before they are imported: a failing assertion then shows its values.
pytest.register_assert_rewrite(
    "perdure_conformance.objects._conditions",
    "perdure_conformance.objects._harness",
    "perdure_conformance.objects._limits",
    "perdure_conformance.objects._list",
    "perdure_conformance.objects._lost_answers",
    "perdure_conformance.objects._read",
)

from perdure_conformance.objects._conditions import ConditionClauses  # noqa: E402 - see above
from perdure_conformance.objects._harness import ObjectsHarness  # noqa: E402 - see above
from perdure_conformance.objects._limits import ObjectLimitClauses  # noqa: E402 - see above
from perdure_conformance.objects._list import ListClauses  # noqa: E402 - see above
from perdure_conformance.objects._lost_answers import LostPutClauses  # noqa: E402 - see above
from perdure_conformance.objects._read import ReadObjectClauses  # noqa: E402 - see above

__all__ = ["ObjectsContract", "ObjectsHarness"]


class ObjectsContract(ReadObjectClauses, ConditionClauses, LostPutClauses, ListClauses, ObjectLimitClauses):
    """Everything that `perdure.spi.ConditionalObjects` promises."""
