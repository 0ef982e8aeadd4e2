"""What a record sends, again and again until it is known to be sent, and what it carries: R5, R16, R17."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["OUTBOX_MUTANTS"]

OUTBOX: Final = "perdure.engine._outbox"
PLAN: Final = "perdure.engine._plan"
PAYLOADS: Final = "perdure.engine._payloads"
CARRY_OUT: Final = "perdure.worker._carry_out:CarryOut"
ACTIVITIES: Final = "perdure.worker._activities:Activities"

OUTBOX_MUTANTS: Final = (
    Mutant(
        "a duplicate is completed and nothing sent again",
        "R5",
        "who died between record and messages leaves an instance that stands still",
        (Edit(f"{CARRY_OUT}._settle", "plan_resend(state) if duplicates else Step()", "Step()"),),
        by="test_r5_a_process_that_dies_at_any_of_its_calls",
    ),
    Mutant(
        "every turn vouches for those before it",
        "R5",
        "a turn that was never sent is taken for sent",
        (Edit(f"{PLAN}:plan_turn", "sent_upto=version if was_all_sent else state.sent_upto", "sent_upto=version"),),
        by="test_r5_a_turn_that_follows_an_unsent_one",
    ),
    Mutant(
        "nothing is ever thought unsent",
        "R5",
        "what a dead process left unsent stays so",
        (Edit(f"{OUTBOX}:is_all_sent", "<= state.sent_upto", ">= 0"),),
        by="vouch",
    ),
    Mutant(
        "activities are not sent again",
        "R5",
        "an activity whose message was never sent is waited for",
        (Edit(f"{OUTBOX}:unsent", "_above(state.tasks, state.sent_upto)", "()"),),
        by="test_r5_everything",
    ),
    Mutant(
        "children are not created again",
        "R5",
        "a child that was never created is waited for",
        (Edit(f"{OUTBOX}:unsent", "_above(state.children, state.sent_upto)", "()"),),
    ),
    Mutant(
        "the message of a timer is not sent again",
        "R5",
        "a timer never fires",
        (Edit(f"{OUTBOX}:_add_what_is_sent_once", "above < _timer_version(state) <= upto", "False"),),
        by="test_r5_a_timer_message_that_may_not_have_been_sent",
    ),
    Mutant(
        "the parent is not told again",
        "R5",
        "it waits for ever for a child that has ended",
        (Edit(f"{OUTBOX}:_add_what_is_sent_once", "above < _closing_version(state) <= upto", "False"),),
        by="test_r5_the_end_of_a_sub_orchestration",
    ),
    Mutant(
        "an id is another at every derivation",
        "R5",
        "a repeated turn cannot be told from a new one",
        (
            Edit(
                f"{OUTBOX}:_run_task",
                "message_id(state.incarnation, state.execution, task.seq)",
                "message_id(state.incarnation, state.execution, __import__('os').urandom(4).hex())",
            ),
        ),
        by="equal_byte_for_byte",
    ),
    Mutant(
        "a stall that was recorded is not tried again after a crash",
        "R5",
        "an instance stalls for good",
        (Edit(f"{CARRY_OUT}._try_again", "return plan_resend(state) if", "return Step() if"),),
        by="test_r5_an_instance_that_stalled_as_its_process_died",
    ),
    Mutant(
        "a payload at the limit goes out of line",
        "R16",
        "a request more for each",
        (Edit(f"{PAYLOADS}:Offload._is_large", "> self._limit", ">= self._limit"),),
    ),
    Mutant(
        "a large payload stays in the record",
        "R16",
        "the record is over the store's limit",
        (Edit(f"{PAYLOADS}:Offload._is_large", "len(payload) > self._limit", "False"),),
    ),
    Mutant(
        "payloads of one record share a name",
        "R16",
        "one result is read for another",
        (Edit(f"{PAYLOADS}:Offload._replace", "{self._prefix}/{len(self.payloads)}", "{self._prefix}/0"),),
    ),
    Mutant(
        "attempts at one version share a name",
        "R16",
        "the record that wins refers to the payload of the one that lost",
        (Edit(f"{PLAN}:plan_turn", "/r/{version}-{turn_id}", "/r/{version}"),),
    ),
    Mutant(
        "a child leans on its parent's payload",
        "R16",
        "purging the parent breaks the child",
        (
            Edit(
                f"{PAYLOADS}:own_copy",
                "events.PayloadRef(input_name(incarnation), payload.length, payload.digest)",
                "payload",
            ),
        ),
    ),
    Mutant(
        "a child's own copy is not written",
        "R16",
        "it can never begin",
        (Edit(f"{PLAN}:plan_turn", "*_child_copies(state, decisions, inline_bytes_max)", "*()"),),
    ),
    Mutant(
        "a parent leans on its child's payload",
        "R16",
        "purging the child breaks the parent",
        (Edit(f"{CARRY_OUT}._copied", "return events.SubOrchestrationCompleted(event.seq, data)", "return event"),),
        by="test_r16_a_childs_large_input_and_a_parents_large_answer",
    ),
    Mutant(
        "an outcome of this worker's activity goes by the queue",
        "R17",
        "twice the requests for each step",
        (Edit(f"{ACTIVITIES}._finish", "if message.reply_to in self._serves_turns:", "if False:"),),
    ),
    Mutant(
        "nothing is born leased",
        "R17",
        "twice the requests for each step",
        (Edit(f"{ACTIVITIES}.reserve", "Reserved(frozenset(wanted), ", "Reserved(frozenset(), "),),
    ),
    Mutant(
        "an outcome that never wins is kept",
        "R17",
        "two workers fight for one instance and none lets go",
        (Edit(f"{CARRY_OUT}._send_local_results", "if local:", "if False:"),),
    ),
    Mutant(
        "an activity's message is acknowledged before its outcome is recorded",
        "R17",
        "a crash loses a result, and nobody runs the activity again",
        (
            Edit(
                f"{ACTIVITIES}._finish",
                "self._leases.hold(delivery)",
                "await self._hub.queue.complete([delivery])",
            ),
        ),
        named=("test_r5_a_process_that_dies_at_any_of_its_calls",),
        by="elsewhere",
    ),
)
