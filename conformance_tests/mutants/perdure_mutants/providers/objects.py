"""The history store over conditional objects, broken where it talks to the service: H4, H6 and R9."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["OBJECT_MUTANTS"]

STORE: Final = "perdure.spi.object_history._store:ObjectHistoryStore"
HEAD: Final = "perdure.spi.object_history._head"

OBJECT_MUTANTS: Final = (
    Mutant(
        "an own write is not told from another's",
        "H4",
        "every lost answer is a conflict, and the turn is done twice",
        (
            Edit(
                f"{HEAD}:_look_back",
                "mark.turn_id == append.turn_id",
                "False",
            ),
        ),
        by="test_h4_of_450_appends",
    ),
    Mutant(
        "the head is replaced without its condition",
        "H6",
        "a write that lands after the purge revives the instance",
        (Edit(f"{STORE}._replace", ", if_absent=seen.etag is None, if_match=seen.etag", ""),),
        by="test_h6_a_write_that_lands_after_the_purge",
    ),
    Mutant(
        "a purge deletes before it has its tombstone",
        "R9",
        "a purge that meets a conflict has deleted a living history",
        (
            Edit(
                f"{STORE}.purge",
                "tombstone = bury(head, write_id)",
                "tombstone = bury(head, write_id)\n"
                "            await self._payloads.delete(payloads)\n"
                "            await self._clear(tombstone)",
            ),
        ),
        named=("test_a_purge_", "test_h6_a_write_", "test_two_stores_", "test_r9_"),
    ),
)
