"""What must hold of every history, whoever wrote it: S1, S3b, S4, S5, S6, S8."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["INVARIANT_MUTANTS"]

LEGAL: Final = "perdure.engine._legal"
CLASSIFY: Final = "perdure.engine._classify"
STATE: Final = "perdure.engine._state:InstanceState"

INVARIANT_MUTANTS: Final = (
    Mutant(
        "a history may begin with anything",
        "S1",
        "the middle of a history is taken for its beginning",
        (Edit(f"{LEGAL}:_misplaced", "if begins == [0] and record.version > 0 else", "if True else"),),
    ),
    Mutant(
        "the outcome of a task counts twice",
        "S3b",
        "code is fed a result that it has had",
        (Edit(f"{CLASSIFY}:_judge_outcome", "return Verdict.DUPLICATE if message", "return Verdict.RUN if message"),),
    ),
    Mutant(
        "the outcome of a child answers an activity",
        "S3b",
        "code is fed a result of the wrong kind",
        (
            Edit(
                f"{CLASSIFY}:_judge_outcome",
                "(state.tasks if isinstance(message, TaskEnded) else state.children)",
                "{*state.tasks, *state.children}",
            ),
        ),
    ),
    Mutant(
        "which events are recorded is forgotten",
        "S4",
        "an event that is delivered twice counts twice",
        (Edit(f"{STATE}._take_input", "self.raised.add(event.message_id)", "pass"),),
    ),
    Mutant(
        "an event without an incarnation is for nobody",
        "S5",
        "who does not know the incarnation cannot send",
        (Edit(f"{CLASSIFY}:_is_for_whichever", "return isinstance", "return False and isinstance"),),
    ),
    Mutant(
        "an outcome without an incarnation is for whichever",
        "S5",
        "the result of another life is consumed",
        (Edit(f"{CLASSIFY}:_is_for_whichever", "isinstance(message, RaiseEvent) and", ""),),
    ),
    Mutant(
        "a record may follow the end",
        "S6",
        "what is over goes on",
        (Edit(f"{LEGAL}:_misplaced", "if state.is_closed:", "if False:"),),
    ),
    Mutant(
        "what is open stays open at the end",
        "S6",
        "a closed instance is sent again and again",
        (Edit(f"{STATE}._close", "self.tasks.clear()", "pass"),),
    ),
    Mutant(
        "the clock of an instance begins at zero",
        "S8",
        "a timer of the first turn is due in 1970",
        (Edit(f"{STATE}._take_input", "self.now = max(self.now, event.created_at)", "pass"),),
    ),
)
