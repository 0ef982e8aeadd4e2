"""When things happen, and by whose clock: R11, R13, R14, R19."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["TIME_MUTANTS"]

CLASSIFY: Final = "perdure.engine._classify"
PLAN: Final = "perdure.engine._plan"
TIMERS: Final = "perdure.engine._timers:Timers"
CARRY_OUT: Final = "perdure.worker._carry_out:CarryOut"

TIME_MUTANTS: Final = (
    Mutant(
        "a worker that was held up commits what it read long ago",
        "R11",
        "a zombie wastes what others do",
        (Edit(f"{CARRY_OUT}._commit_turn", "> self._identity.lease_seconds / 2", "> 1e9"),),
    ),
    Mutant(
        "a worker that was held up always begins again",
        "R11",
        "where the store is slow no turn is ever committed",
        (
            Edit(
                f"{CARRY_OUT}._check_nothing_happened",
                "if not isinstance(head, Head) or head.version != expected:",
                "if True:",
            ),
        ),
    ),
    Mutant(
        "an early start is run",
        "R13",
        "a scheduled instance begins when its message cannot be delayed any longer",
        (Edit(f"{CLASSIFY}:_judge_wake", "return Verdict.EARLY", "return Verdict.RUN"),),
    ),
    Mutant(
        "an event starts an instance early",
        "R13",
        "a scheduled instance begins with the first event",
        (Edit(f"{CLASSIFY}:_judge_raise", "Verdict.EARLY if state.begins_at > now else Verdict.RUN", "Verdict.RUN"),),
    ),
    Mutant(
        "an early timer is taken for done",
        "R13",
        "a timer longer than the queue can delay never fires",
        (Edit(f"{CLASSIFY}:_judge_timer", "return Verdict.EARLY if", "return Verdict.DUPLICATE if"),),
    ),
    Mutant(
        "an early message hops without a delay",
        "R13",
        "it runs in circles through the queue",
        (Edit("perdure.engine._envelopes:hop", "not_before=due", "not_before=0.0"),),
        by="test_r13_an_early_message_hops_to_the_start",
    ),
    Mutant(
        "the queue is asked for delays that it cannot keep",
        "R13",
        "every turn with a long timer is refused",
        (
            Edit(
                "perdure.hub._hub:OpenHub._shortened",
                "sent if sent.not_before <= latest else",
                "sent if sent.not_before <= latest or True else",
            ),
        ),
        by="test_r13_nothing_is_sent_that_is_to_wait_for_longer",
    ),
    Mutant(
        "a history whose clock is ahead counts by the worker's",
        "R14",
        "its timers seem not to be due, and their message runs in circles",
        (Edit(f"{CLASSIFY}:classify", "max(now, state.now)", "now"),),
    ),
    Mutant(
        "the orchestration clock goes back with the worker's",
        "R14",
        "code sees time run backwards",
        (
            Edit(
                f"{CARRY_OUT}._run",
                "now = max(state.now, seat.judged_at, self._hub.clock.now())",
                "now = self._hub.clock.now()",
            ),
        ),
    ),
    Mutant(
        "a timer is judged by one clock and fired by another",
        "R14",
        "its message is completed, and it never fires",
        (Edit(f"{CARRY_OUT}._run", "max(state.now, seat.judged_at, ", "max(state.now, "),),
        by="test_r14_a_clock_that_is_set_back",
    ),
    Mutant(
        "a worker whose clock is wrong runs turns",
        "R14",
        "timers fire minutes early",
        (Edit(f"{CARRY_OUT}._compare_clocks", "> CLOCK_OFF_SECONDS_MAX", "> 1e12"),),
    ),
    Mutant(
        "timers come after the other inputs",
        "R19",
        "a timeout loses against an event that came later",
        (
            Edit(PLAN + ":inputs_of", "= list(state.due_timers(now))", "= []"),
            Edit(PLAN + ":inputs_of", "return tuple(inputs)", "return (*inputs, *state.due_timers(now))"),
        ),
        by="test_r19_timers_come_before_the_other_inputs",
    ),
    Mutant(
        "timers fire in the order of asking",
        "R19",
        "a later timer fires before an earlier one",
        (Edit(f"{TIMERS}.due", "[seq for _, seq in entries]", "sorted(seq for _, seq in entries)"),),
    ),
    Mutant(
        "a timer is fired but not counted as due",
        "R19",
        "one that is due is left for later",
        (Edit(f"{TIMERS}.due", "first[0] <= now", "first[0] < now"),),
    ),
    Mutant(
        "only the first timer is ever armed",
        "R19",
        "the second one never fires",
        (Edit(f"{TIMERS}.arm", "first[1] != self._armed_seq", "self._armed_seq == 0"),),
        by="test_r19_when_the_earliest_has_fired",
    ),
    Mutant(
        "every record arms the earliest timer again",
        "R19",
        "a message more for each turn",
        (Edit(f"{TIMERS}.arm", "first[1] != self._armed_seq", "True"),),
        by="test_r19_a_later_timer_is_not_armed",
    ),
)
