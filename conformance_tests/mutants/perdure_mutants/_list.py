"""All mutants, in the order of the clauses and rules."""

from __future__ import annotations

from typing import Final

from perdure_mutants.providers.committer import COMMITTER_MUTANTS
from perdure_mutants.providers.history import HISTORY_MUTANTS
from perdure_mutants.providers.objects import OBJECT_MUTANTS
from perdure_mutants.providers.payloads import PAYLOAD_MUTANTS
from perdure_mutants.providers.queue import QUEUE_MUTANTS
from perdure_mutants.rules.addressing import ADDRESSING_MUTANTS
from perdure_mutants.rules.invariants import INVARIANT_MUTANTS
from perdure_mutants.rules.outbox import OUTBOX_MUTANTS
from perdure_mutants.rules.running import RUNNING_MUTANTS
from perdure_mutants.rules.times import TIME_MUTANTS

__all__ = ["MUTANTS"]

MUTANTS: Final = (
    *HISTORY_MUTANTS,
    *PAYLOAD_MUTANTS,
    *QUEUE_MUTANTS,
    *COMMITTER_MUTANTS,
    *OBJECT_MUTANTS,
    *ADDRESSING_MUTANTS,
    *OUTBOX_MUTANTS,
    *TIME_MUTANTS,
    *RUNNING_MUTANTS,
    *INVARIANT_MUTANTS,
)
