"""What cannot run, must not run with others, or does not end: R15, R15e, R18."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["RUNNING_MUTANTS"]

CARRY_OUT: Final = "perdure.worker._carry_out:CarryOut"
ENVELOPES: Final = "perdure.engine._envelopes"
PLAN: Final = "perdure.engine._plan"
SUSPICION: Final = "perdure.worker._suspicion"
DRIVER: Final = "perdure.replay._driver:Driver"

RUNNING_MUTANTS: Final = (
    Mutant(
        "a stalled instance is not tried again",
        "R15",
        "deploying the missing code helps nobody",
        (Edit(f"{PLAN}:plan_turn", "box.send.append(retry_wake(state, wake_attempt + 1, turn.now))", "pass"),),
        by="test_r15_a_try_that_is_recorded_is_followed",
    ),
    Mutant(
        "every input of a stalled instance begins a chain of tries",
        "R15",
        "tries multiply until nothing else is done",
        (
            Edit(
                f"{PLAN}:plan_turn",
                "turn is not None and wake_attempt is not None:",
                "turn is not None:\n        wake_attempt = wake_attempt or 0",
            ),
        ),
    ),
    Mutant(
        "tries come without a growing pause",
        "R15",
        "instances that wait for a deployment keep every worker busy",
        (
            Edit(
                f"{ENVELOPES}:stall_delay_seconds",
                "STALL_DELAY_FIRST_SECONDS * 2.0**doublings",
                "STALL_DELAY_FIRST_SECONDS",
            ),
        ),
    ),
    Mutant(
        "every try has the same id",
        "R15",
        "deliveries of one message are burnt by waiting",
        (Edit(f"{ENVELOPES}:wake", "w{version}.{attempt}", "w{version}"),),
    ),
    Mutant(
        "a late try of an earlier stall begins a second chain",
        "R15",
        "tries multiply",
        (
            Edit(
                "perdure.engine._classify:_judge_wake",
                "is_past = message.attempt > 0 and message.version < state.stalled_version",
                "is_past = False",
            ),
        ),
    ),
    Mutant(
        "a poisoned instance is tried among others",
        "R15",
        "it takes their turns along",
        (Edit(f"{ENVELOPES}:retry_wake", "alone=state.stalled.failure.type == POISONED", "alone=False"),),
        by="test_r15_a_poisoned_instance_is_tried_alone",
    ),
    Mutant(
        "nobody is ever suspected",
        "R15",
        "poison ends as a dead letter and the instance hangs",
        (Edit(f"{SUSPICION}:is_suspect", "return arrival", "return False and arrival"),),
        by="test_r15_an_instance_that_takes_processes_down",
    ),
    Mutant(
        "a suspect is run in company",
        "R15",
        "a crash is laid at the wrong door, and neighbours pay for it",
        (Edit(f"{CARRY_OUT}._run_suspect", "if seconds:", "if False:"),),
        by="test_r15_a_suspect_is_not_run_while_others",
    ),
    Mutant(
        "a suspect is run as any other",
        "R15",
        "it takes its neighbours along, again and again",
        (Edit(f"{CARRY_OUT}._attempt", "elif is_under_suspicion(seat.state):", "elif False:"),),
        by="test_r15_a_suspect_is_not_run_while_others",
    ),
    Mutant(
        "who wants to be alone does not wait",
        "R15",
        "a crash is laid at the wrong door",
        (
            Edit("perdure.worker._solitude:Solitude.alone", "if self.at_work > 1:", "if False:"),
            Edit("perdure.worker._solitude:Solitude.alone", "yield 0.0 if is_alone else PATIENCE_SECONDS", "yield 0.0"),
        ),
        by="alone",
    ),
    Mutant(
        "others begin while one is alone",
        "R15",
        "a crash is laid at the wrong door",
        (Edit("perdure.worker._solitude:_Company.__aenter__", "while solitude.is_wanted:", "while False:"),),
        by="test_r15_nothing_new_begins",
    ),
    Mutant(
        "what a newer release sent is thrown away",
        "R15",
        "a rolling deployment loses messages",
        (
            Edit(
                "perdure.worker._worker:Worker._refuse",
                "Step(send=(fresh,), complete=(delivery,))",
                "Step(complete=(delivery,))",
            ),
        ),
        by="test_r15_a_message_of_a_newer_release",
    ),
    Mutant(
        "what a newer release sent is left to its lease",
        "R15",
        "waiting burns its deliveries",
        (
            Edit(
                "perdure.worker._worker:Worker._refuse",
                "await self._commit(Step(send=(fresh,), complete=(delivery,)))",
                "del fresh",
            ),
        ),
        by="test_r15_a_message_of_a_newer_release",
    ),
    Mutant(
        "an activity that takes processes down is run for ever",
        "R15e",
        "its message ends as a dead letter and the instance waits for good",
        (
            Edit(
                "perdure.worker._activities:Activities._run_task",
                "delivery.delivery_count >= limit",
                "False",
            ),
        ),
    ),
    Mutant(
        "the watchdog looks away",
        "R18",
        "one endless loop takes a whole worker out, and nobody learns why",
        (Edit("perdure.worker._watchdog:Watchdog._look", "if time.monotonic() > until:", "if False:"),),
        by="test_r18_the_watchdog_stops",
    ),
    Mutant(
        "a stop that comes as the turn ends does not count",
        "R18",
        "code goes on that was told to stop",
        (
            Edit("perdure.worker._decide:Decide._run", "if execution.overrun_requested:", "if False:"),
            Edit(f"{DRIVER}.raise_doom", "if self.overrun_requested:", "if False:"),
        ),
        by="test_r18_a_stop_that_comes_as_the_turn_ends",
    ),
    Mutant(
        "code that swallows its stop is committed",
        "R18",
        "a turn that was cut anywhere is in the history",
        (
            Edit("perdure.worker._decide:Decide._run", "if execution.overrun_requested:", "if False:"),
            Edit(f"{DRIVER}.raise_doom", "if self.overrun_requested:", "if False:"),
        ),
        by="test_r18_code_that_swallows_the_stop",
    ),
    Mutant(
        "code that only polls is not told",
        "R18",
        "a busy loop eats a core until the watchdog comes, and nobody learns why",
        (Edit(f"{DRIVER}.run_until_blocked", "self._handles > HANDLES_MAX", "False"),),
        by="test_r18_code_that_only_polls",
    ),
    Mutant(
        "a hundred callbacks are too many",
        "R18",
        "ordinary code is stopped",
        (Edit(f"{DRIVER}.run_until_blocked", "self._handles > HANDLES_MAX", "self._handles > 99"),),
        by="test_r18_a_hundred_yields",
    ),
)
