"""HistoryStoreContract: H1 to H10, one class per subject."""

from perdure_conformance.history._append import AppendClauses
from perdure_conformance.history._changed import ChangedClauses
from perdure_conformance.history._ended import EndedClauses
from perdure_conformance.history._keys import KeyClauses
from perdure_conformance.history._limits import LimitClauses
from perdure_conformance.history._lost_answers import LostAnswerClauses
from perdure_conformance.history._more_payloads import MorePayloadClauses
from perdure_conformance.history._payloads import PayloadClauses
from perdure_conformance.history._purge import PurgeClauses
from perdure_conformance.history._read import ReadClauses
from perdure_conformance.history._scan import ScanClauses

__all__ = ["HistoryStoreContract"]


class HistoryStoreContract(
    AppendClauses,
    LostAnswerClauses,
    ReadClauses,
    ChangedClauses,
    EndedClauses,
    PurgeClauses,
    KeyClauses,
    ScanClauses,
    PayloadClauses,
    MorePayloadClauses,
    LimitClauses,
):
    """Everything that `perdure.spi.HistoryStore` promises."""
