"""What must hold of every history, whoever wrote it: S1, S2, S3b, S4, S5, S6, S8."""

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
        "an instance may start twice",
        "S1",
        "code is fed a second input from the middle on",
        (Edit(f"{LEGAL}:_misplaced", ' if begins else ""', ' if False else ""'),),
        by="test_s1_an_instance_starts_once",
    ),
    Mutant(
        "a gap in a history is passed over",
        "S1",
        "a turn is computed from records that are not all there",
        (Edit(f"{LEGAL}:_misplaced", "record.version != state.version + 1", "record.version <= state.version"),),
    ),
    Mutant(
        "a fork of a history is passed over",
        "S1",
        "two workers' turns are mixed",
        (Edit(f"{LEGAL}:_misplaced", "record.version != state.version + 1", "record.version > state.version + 1"),),
    ),
    Mutant(
        "a record of another incarnation may follow",
        "S2",
        "a purged instance goes on under its successor's name",
        (Edit(f"{LEGAL}:_misplaced", "if record.incarnation != state.incarnation:", "if False:"),),
    ),
    Mutant(
        "a record of another execution may follow",
        "S3b",
        "the outcome of one execution's task answers the next one's",
        (Edit(f"{LEGAL}:_misplaced", "if record.execution != state.execution:", "if False:"),),
    ),
    Mutant(
        "a record may hold answers to nothing",
        "S3b",
        "code is fed what it never asked for",
        (
            Edit(f"{LEGAL}:_is_awaited", "return event.seq in state.tasks", "return True"),
            Edit(f"{STATE}._take_input", "del self.tasks[event.seq]", "self.tasks.pop(event.seq, None)"),
        ),
        by="test_s3b_an_outcome_of_what_nobody_asked_for_is_no_input",
    ),
    Mutant(
        "a record may hold an event again",
        "S4",
        "code is fed an event that it has had",
        (Edit(f"{LEGAL}:_is_awaited", "return event.message_id not in state.raised", "return True"),),
    ),
    Mutant(
        "a record may be older than the one before it",
        "S8",
        "code sees time run backwards",
        (Edit(f"{LEGAL}:_mistimed", "record.turn.now >= state.now", "record.turn.now > 0"),),
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
