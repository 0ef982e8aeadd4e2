"""CommitterContract: C1 to C6, one class per subject."""

from perdure_conformance.committer._claims import ClaimClauses
from perdure_conformance.committer._creates import CreateClauses
from perdure_conformance.committer._order import OrderClauses
from perdure_conformance.committer._parallel import ParallelClauses
from perdure_conformance.committer._repeats import RepeatClauses

__all__ = ["CommitterContract"]


class CommitterContract(OrderClauses, ParallelClauses, RepeatClauses, CreateClauses, ClaimClauses):
    """Everything that `perdure.spi.Committer` promises."""
