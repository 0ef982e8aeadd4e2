"""Whose a message is, and who may say no: R1, R2, R3, R4, R6, R8, R8b, R9, R10."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["ADDRESSING_MUTANTS"]

CLASSIFY: Final = "perdure.engine._classify"
OUTBOX: Final = "perdure.engine._outbox"
CLIENT: Final = "perdure.client._client:Client"
CARRY_OUT: Final = "perdure.worker._carry_out:CarryOut"
HUB: Final = "perdure.hub._hub:OpenHub"
HISTORIES: Final = "perdure.memory._histories:Histories"

ADDRESSING_MUTANTS: Final = (
    Mutant(
        "a sub-orchestration gets another incarnation at every attempt",
        "R1",
        "a turn that is sent again creates its child twice",
        (
            Edit(
                "perdure.ids:child_incarnation",
                "return short_id(digest.digest())",
                "return short_id(__import__('os').urandom(10))",
            ),
        ),
        by="test_r1_creating_a_sub_orchestration_is_the_same_bytes",
    ),
    Mutant(
        "a creation is no create",
        "R1",
        "a start lands in a history that exists",
        (Edit(f"{OUTBOX}:creation", ", create=True)", ")"),),
        by="test_r1_a_creation_is_a_pending_record",
    ),
    Mutant(
        "the parent does not hear that an id is taken",
        "R1",
        "it waits for a child that is not its own",
        (
            Edit(
                f"{OUTBOX}:_create_child",
                "otherwise=_id_is_taken(state, child)",
                "otherwise=wake(append.key, incarnation, 1, child.queue)",
            ),
        ),
    ),
    Mutant(
        "a second wake runs a second turn",
        "R1",
        "every repeated start costs a turn",
        (Edit(f"{CLASSIFY}:_judge_wake", "Verdict.RUN if state.pending else Verdict.DUPLICATE", "Verdict.RUN"),),
    ),
    Mutant(
        "a start whose answer is lost is made again under another id",
        "R1",
        "one start begins two instances, or fails though it was done",
        (
            Edit(
                f"{HUB}.commit",
                "return await self.committer.commit(step)",
                "step = step if step.append is None else msgspec.structs.replace(step, append=msgspec.structs.replace("
                "step.append, turn_id=self.new_id(), summary=msgspec.structs.replace(step.append.summary, "
                "incarnation=self.new_id())))\n            return await self.committer.commit(step)",
            ),
        ),
        by="test_r1_a_start_whose_answer_is_lost",
    ),
    Mutant(
        "messages of another incarnation count",
        "R2",
        "an outcome of a purged instance is fed to its successor",
        (Edit(f"{CLASSIFY}:_judge", "message.incarnation != state.incarnation and not", "False and not"),),
    ),
    Mutant(
        "messages of another execution count",
        "R2",
        "an outcome of the execution before is fed to this one",
        (Edit(f"{CLASSIFY}:_judge_outcome", "message.execution != state.execution", "False"),),
    ),
    Mutant(
        "a message of a newer record is judged by an older state",
        "R2",
        "a turn runs that can only end in a conflict",
        (Edit(f"{CLASSIFY}:_is_newer", "message.version > state.version", "False"),),
    ),
    Mutant(
        "a task message does not say which record sent it",
        "R2",
        "nobody notices that a state is too old",
        (Edit(f"{OUTBOX}:_run_task", "asked.version, _started", "0, _started"),),
    ),
    Mutant(
        "a remembered state says that a message is for nobody",
        "R3",
        "what only the newer history waits for is thrown away",
        (Edit(f"{CLASSIFY}:classify", "Verdict.RELOAD if verdict is Verdict.DROP or", "Verdict.RELOAD if"),),
    ),
    Mutant(
        "an instance that nobody has read is taken for none",
        "R3",
        "a message of an instance that this worker has not seen is thrown away",
        (Edit(f"{CLASSIFY}:classify", "if authoritative:", "if authoritative or state is None:"),),
    ),
    Mutant(
        "a worker believes its old seat",
        "R3",
        "it runs from what is past, and loses for ever",
        (
            Edit(
                f"{CARRY_OUT}._until_settled",
                "self._seats.close(seat)\n                seat = None\n                conflicts",
                "conflicts",
            ),
        ),
        by="test_r3_a_worker_that_lost_forgets",
    ),
    Mutant(
        "an uncertain commit is taken for done",
        "R4",
        "what was never recorded is forgotten",
        (
            Edit(
                f"{CARRY_OUT}._commit",
                "done = await self._hub.commit(step, give_up_seconds=self._identity.lease_seconds / 2)",
                "try:\n"
                "        done = await self._hub.commit(step, give_up_seconds=self._identity.lease_seconds / 2)\n"
                "    except Unknown:\n"
                "        self._leases.let_go(deliveries)\n"
                "        return",
            ),
        ),
        by="test_r4_a_commit_that_stays_uncertain",
    ),
    Mutant(
        "an uncertain commit is not repeated",
        "R4",
        "the turn is thrown away and run again",
        (Edit(f"{HUB}.commit", "> give_up_seconds", "> -1"),),
        by="test_r4_an_uncertain_commit",
    ),
    Mutant(
        "an uncertain commit is repeated as another turn",
        "R4",
        "the history forks, or my own turn is a conflict",
        (
            Edit(
                f"{HUB}.commit",
                "return await self.committer.commit(step)",
                "step = step if step.append is None else msgspec.structs.replace("
                "step, append=msgspec.structs.replace(step.append, turn_id=self.new_id()))\n"
                "            return await self.committer.commit(step)",
            ),
        ),
    ),
    Mutant(
        "an instance begins with version 1",
        "R6",
        "an id that was purged long ago sees its old versions again",
        (Edit(f"{OUTBOX}:creation", "max(1, int(started.created_at * 1000))", "1"),),
    ),
    Mutant(
        "inputs that nobody could run are forgotten",
        "R8",
        "what comes for a suspended or unknown instance is lost",
        (Edit("perdure.engine._state:InstanceState.apply", "self.pending.extend(record.inputs)", "pass"),),
    ),
    Mutant(
        "a wake does not run what was only recorded",
        "R8",
        "a resumed instance stands still",
        (
            Edit(
                f"{CLASSIFY}:_judge_wake",
                "Verdict.RUN if state.pending else",
                "Verdict.DUPLICATE if state.pending else",
            ),
        ),
    ),
    Mutant(
        "a late append brings a purged instance back",
        "R9",
        "an instance lives again, without its past",
        (
            Edit(
                f"{HISTORIES}.append",
                "if append.expected != version:",
                "if append.expected != version and not isinstance(state, _Tombstone):",
            ),
            Edit(
                f"{HISTORIES}.append",
                "return Conflict(version=version)  # Purged",
                "self._states[append.key] = _History(append.summary.incarnation, _copied(append.summary), [record])"
                "  # Purged",
            ),
        ),
    ),
    Mutant(
        "nothing is left of what is purged",
        "R9",
        "the id is free for a late repetition of what was purged",
        (
            Edit(
                f"{HISTORIES}.purge",
                "self._states[key] = _Tombstone(expected + 1, state.incarnation, state.created_version, expected)",
                "del self._states[key]",
            ),
        ),
    ),
    Mutant(
        "a start is made without its guard",
        "R8b",
        "a client that dies after the record leaves an instance that never runs",
        (Edit(f"{CLIENT}._guard", "if not self._hub.committer.capabilities.atomic:", "if False:"),),
    ),
    Mutant(
        "a child does not ask whether its parent still waits",
        "R10",
        "code runs for a parent that has ended",
        (
            Edit(
                "perdure.worker._decide:Decide._parent_agrees", "return _waits_for(loaded.state, parent)", "return True"
            ),
        ),
    ),
)
