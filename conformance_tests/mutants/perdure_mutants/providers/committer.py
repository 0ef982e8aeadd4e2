"""Committers that send first, complete first, do half, or answer for others: C1 to C6."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["COMMITTER_MUTANTS"]

COMMIT: Final = "perdure.memory._committer:MemoryCommitter.commit"
CHECK: Final = "perdure.memory._committer:MemoryCommitter._check"
OUTBOX: Final = "perdure.spi.outbox:OutboxCommitter"
A_PAUSE: Final = "await __import__('asyncio').sleep(0)"
A_WHILE: Final = "await __import__('asyncio').sleep(0.05)"
ON_CONFLICT: Final = "if isinstance(outcome, Conflict):\n            return outcome"

COMMITTER_MUTANTS: Final = (
    Mutant(
        "messages are sent before the append",
        "C1",
        "work begins that no record asked for",
        (
            Edit(
                COMMIT,
                "version = 0\n",
                f"early, step = step.send, __import__('msgspec').structs.replace(step, send=())\n"
                f"    messages.send(early)\n    {A_WHILE}\n    version = 0\n",
            ),
        ),
    ),
    Mutant(
        "a child is woken before it is created",
        "C1",
        "its wake-up is dropped and it sleeps on",
        (
            Edit(
                COMMIT,
                "created = tuple(",
                f"messages.send([c.then for c in step.create])\n    {A_WHILE}\n    created = tuple(",
            ),
        ),
    ),
    Mutant(
        "a conflict sends all the same",
        "C1",
        "two workers both start the activities of a turn",
        (
            Edit(
                COMMIT,
                ON_CONFLICT,
                "if isinstance(outcome, Conflict):\n            messages.send(step.send)\n            return outcome",
            ),
        ),
    ),
    Mutant(
        "a conflict completes all the same",
        "C1",
        "an input is gone that no record holds",
        (
            Edit(
                COMMIT,
                ON_CONFLICT,
                "if isinstance(outcome, Conflict):\n            messages.complete(step.complete)\n"
                "            return outcome",
            ),
        ),
    ),
    Mutant(
        "an outbox is sent before its append",
        "C1",
        "a crash between them leaves work that no record asked for",
        (Edit(f"{OUTBOX}.commit", "version = 0\n", "await self._send(step.send)\n    version = 0\n"),),
    ),
    Mutant(
        "an outbox goes on after a conflict",
        "C1",
        "two workers both start the activities of a turn",
        (Edit(f"{OUTBOX}.commit", "            return outcome\n        version", "            pass\n        version"),),
    ),
    Mutant(
        "inputs are completed before the outbox is sent",
        "C2",
        "a crash between them loses the outbox for good",
        (
            Edit(
                f"{OUTBOX}.commit",
                "    await self._send([*messages, *step.send])",
                "    await self._queue.complete(step.complete)\n    await self._send([*messages, *step.send])",
            ),
        ),
    ),
    Mutant(
        "a message that was not sent is not noticed",
        "C2",
        "its input is completed and nothing sends it again",
        (Edit(f"{OUTBOX}._send", "if failed:", "if False:"),),
    ),
    Mutant(
        "inputs are completed and nothing is sent",
        "C2",
        "an instance stands still for ever",
        (Edit(COMMIT, "numbers = messages.send(step.send)", "numbers = messages.send(step.send[:0])"),),
    ),
    Mutant(
        "a step can be cut in two",
        "C3",
        "what is declared to be one transaction is none",
        (Edit(COMMIT, "numbers = messages.send(step.send)", f"{A_PAUSE}\n    numbers = messages.send(step.send)"),),
    ),
    Mutant(
        "limits of messages are met after the append",
        "C3",
        "a turn is recorded whose messages can never be sent",
        (
            Edit(
                CHECK,
                "self._queue.check([*told, *step.send])",
                "step.append and self._store.histories.append(step.append)\n    self._queue.check([*told, *step.send])",
            ),
        ),
    ),
    Mutant(
        "limits of children are not looked at",
        "C3",
        "a child is recorded that the store cannot keep",
        (Edit(CHECK, "*(create.append for create in step.create)", "*()"),),
    ),
    Mutant(
        "the messages that a child brings are not checked",
        "C3",
        "a child is created that can never be woken",
        (
            Edit(
                "perdure.memory._committer:MemoryCommitter._check",
                "self._queue.check([*told, *step.send])",
                "self._queue.check(step.send)",
            ),
        ),
        by="test_c3_a_step_whose_child_brings",
    ),
    Mutant(
        "a conflict fails whoever commits at the same time",
        "C4",
        "one busy instance disturbs all others",
        (
            Edit(
                COMMIT,
                "    self._check(step)\n",
                "    self._check(step)\n"
                "    group = self.__dict__.setdefault('group', [])\n    group.append(step)\n"
                f"    {A_PAUSE}\n"
                "    if any(one.append and not one.append.create and getattr(self._store.histories._states.get("
                "one.append.key), 'version', 0) not in (one.append.expected, one.append.version) for one in group):\n"
                "        return Conflict(version=0)\n",
            ),
        ),
    ),
    Mutant(
        "a refused step fails whoever comes after it",
        "C4",
        "one large payload stops a worker",
        (
            Edit(
                COMMIT,
                "    self._check(step)\n",
                "    self.__dict__.get('refused') and self._check(self.__dict__['refused'])\n"
                "    self.__dict__['refused'] = step\n    self._check(step)\n    self.__dict__['refused'] = None\n",
            ),
        ),
    ),
    Mutant(
        "a step that is repeated is a conflict",
        "C5",
        "a lost answer throws away a turn that was done",
        (
            Edit(
                COMMIT,
                "outcome = histories.append(step.append)",
                "head = histories.read(step.append.key, 0, None)\n"
                "        if getattr(head, 'version', 0) != step.append.expected:\n"
                "            return Conflict(version=head.version)\n"
                "        outcome = histories.append(step.append)",
            ),
        ),
    ),
    Mutant(
        "an uncertain append is not repeated",
        "C5",
        "other bytes may follow it into the same slot",
        (Edit(f"{OUTBOX}._append", "except Unknown:", "except ZeroDivisionError:"),),
    ),
    Mutant(
        "an uncertain append is taken for done",
        "C5",
        "messages are sent for a record that is not there",
        (
            Edit(
                f"{OUTBOX}._append",
                "await self._clock.sleep(RETRY_FIRST_SECONDS * 2**attempt)",
                "return Committed(version=append.version)",
            ),
        ),
    ),
    Mutant(
        "a child that is taken is called mine",
        "C6",
        "a parent waits for another's child",
        (
            Edit(
                COMMIT,
                "isinstance(histories.append(create.append), Committed)",
                "bool(histories.append(create.append))",
            ),
        ),
    ),
    Mutant(
        "a parent is not told that an id is taken",
        "C6",
        "it waits for ever",
        (Edit(COMMIT, "c.then if mine else c.otherwise", "c.then"),),
    ),
    Mutant(
        "a taken id fails the whole step",
        "C6",
        "the turn is repeated for ever",
        (
            Edit(
                COMMIT,
                "messages.send([c.then",
                "if not all(created):\n        return Conflict(version=0)\n    messages.send([c.then",
            ),
        ),
    ),
    Mutant(
        "a claimed message is not held",
        "C6",
        "another worker runs the same activity",
        (
            Edit(
                "perdure.memory._messages:Messages.claim",
                "self._queue(queue).hold(message, now, worker, lease_seconds)",
                "message.delivery_count += 1",
            ),
        ),
    ),
    Mutant(
        "everything sent is claimed",
        "C6",
        "a worker holds what it has no room for",
        (
            Edit(
                "perdure.memory._queue:MemoryQueue.claim",
                "envelope.message_id in claim.message_ids and not exclusive",
                "not exclusive",
            ),
        ),
    ),
    Mutant(
        "a message for later is claimed now",
        "C6",
        "a retry runs without its pause",
        (
            Edit(
                "perdure.memory._messages:Messages.claim",
                "if message.hidden_until > now:",
                "if False:",
            ),
        ),
    ),
)
