"""WorkQueueContract: Q1 to Q11, one class per subject."""

from perdure_conformance.queue._content import ContentClauses
from perdure_conformance.queue._dead_letters import DeadLetterClauses
from perdure_conformance.queue._delay import DelayClauses
from perdure_conformance.queue._delivery import DeliveryClauses
from perdure_conformance.queue._groups import GroupClauses
from perdure_conformance.queue._lease import LeaseClauses
from perdure_conformance.queue._more_holding import HoldingClauses
from perdure_conformance.queue._waiting import WaitingClauses

__all__ = ["WorkQueueContract"]


class WorkQueueContract(
    DeliveryClauses,
    DelayClauses,
    LeaseClauses,
    HoldingClauses,
    ContentClauses,
    DeadLetterClauses,
    GroupClauses,
    WaitingClauses,
):
    """Everything that `perdure.spi.WorkQueue` and `perdure.spi.DeadLetters` promise."""
