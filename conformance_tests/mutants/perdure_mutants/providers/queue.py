"""Queues that lose, repeat, hurry, delay, share or alter messages: Q1 to Q11."""

from __future__ import annotations

from typing import Final

from perdure_mutants._mutant import Edit, Mutant

__all__ = ["QUEUE_MUTANTS"]

MESSAGES: Final = "perdure.memory._messages:Messages"
QUEUE: Final = "perdure.memory._messages:_Queue"
DOOR: Final = "perdure.memory._queue:MemoryQueue"
SEND: Final = "self.messages.send(messages)"
BURY: Final = 'self.bury(message, f"Delivered {message.delivery_count} times and never completed.")'

QUEUE_MUTANTS: Final = (
    Mutant(
        "a received message is gone",
        "Q1",
        "a worker that dies takes its message along",
        (Edit(f"{QUEUE}.take", "taken.append(message)", "taken.append(message)\n            self.remove(message)"),),
    ),
    Mutant(
        "an abandoned message is lost",
        "Q1",
        "giving back is throwing away",
        (
            Edit(
                f"{MESSAGES}.abandon",
                "queue.show_at(held, self._clock.monotonic() + delay_seconds)",
                "queue.remove(held)",
            ),
        ),
        named=("test_q4_",),
    ),
    Mutant(
        "a completed message comes back",
        "Q1",
        "what is done is done again for ever",
        (Edit(f"{MESSAGES}.complete", ".remove(held)", ".let_go(held)"),),
    ),
    Mutant(
        "a lease is shared",
        "Q2",
        "two workers run the same turn all the time",
        (Edit(f"{QUEUE}.hold", "now + lease_seconds", "now"),),
    ),
    Mutant(
        "a client that is closed gives back what it held",
        "Q2",
        "a worker that drains runs beside the one that has its messages now",
        (
            Edit(
                f"{DOOR}.aclose",
                "self._connection.close()",
                "for queue in self.messages._queues.values() if self._connection._hub else ():\n"
                "        for message in list(queue.messages.values()):\n"
                "            queue.let_go(message)\n"
                "            queue.show_at(message, 0.0)\n"
                "    self._connection.close()",
            ),
        ),
        by="test_q2_a_client_that_is_closed",
    ),
    Mutant(
        "a delay is ignored",
        "Q3",
        "timers and retries fire at once",
        (Edit(f"{MESSAGES}.send", "max(0.0, envelope.not_before - self._clock.now())", "0.0"),),
    ),
    Mutant(
        "a message is delivered early",
        "Q3",
        "a timer fires after half its time",
        (
            Edit(
                f"{MESSAGES}.send",
                "max(0.0, envelope.not_before - self._clock.now())",
                "max(0.0, envelope.not_before - self._clock.now()) / 2",
            ),
        ),
    ),
    Mutant(
        "a delayed message holds up those behind it",
        "Q3",
        "one long timer stops a queue",
        (
            Edit(
                f"{QUEUE}.take",
                "self._uncover(now)",
                "self._uncover(now)\n"
                "    if any(m.hidden_until > now and not m.holder for m in self.messages.values()):\n"
                "        return []",
            ),
        ),
    ),
    Mutant(
        "a delay past the limit is taken",
        "Q3",
        "a service would cut it and the message would come early",
        (
            Edit(
                "perdure.memory._messages:check_envelopes",
                "envelope.not_before - now > limits.delay_seconds_max",
                "False",
            ),
        ),
    ),
    Mutant(
        "the delivery count is stuck",
        "Q4",
        "poison is never found out",
        (Edit(f"{QUEUE}.hold", "message.delivery_count += 1", "message.delivery_count = 1"),),
    ),
    Mutant(
        "a delay past the limit is accepted for what is given back",
        "Q4",
        "where a service cuts it, whoever backs off comes back early",
        (Edit(f"{DOOR}.abandon", "if not 0 <= delay_seconds <= most:", "if False:"),),
        by="test_q4_a_delay_past_the_limit",
    ),
    Mutant(
        "an abandoned message ignores its delay",
        "Q4",
        "a failing call is repeated without a pause",
        (Edit(f"{MESSAGES}.abandon", "self._clock.monotonic() + delay_seconds", "self._clock.monotonic()"),),
    ),
    Mutant(
        "a lease never ends by itself",
        "Q4",
        "the message of a worker that died stays away",
        (Edit(f"{QUEUE}.hold", "now + lease_seconds", "now + 1e9"),),
    ),
    Mutant(
        "an old receipt is as good as a new one",
        "Q5",
        "a worker that lost its lease completes another's message",
        (Edit(f"{MESSAGES}._held", " or message.receipt != delivery.receipt", ""),),
    ),
    Mutant(
        "a lease that has ended still counts",
        "Q5",
        "a zombie is told that it holds the message",
        (Edit(f"{MESSAGES}._held", " or not message.is_held(self._clock.monotonic())", ""),),
    ),
    Mutant(
        "renewing does nothing",
        "Q5",
        "long work is always given to a second worker",
        (Edit(f"{MESSAGES}.renew", "self._queue(delivery.envelope.queue).show_at(held, until)", "pass"),),
    ),
    Mutant(
        "renewing adds to the end of the lease",
        "Q5",
        "leases grow to hours and a crash is noticed late",
        (Edit(f"{MESSAGES}.renew", "self._clock.monotonic() + lease_seconds", "held.hidden_until + lease_seconds"),),
    ),
    Mutant(
        "renewing a lost lease is a success",
        "Q5",
        "nobody stops work that another has taken over",
        (Edit(f"{MESSAGES}.renew", "return held is not None", "return True"),),
    ),
    Mutant(
        "the longest time to hold counts from the first receive",
        "Q5",
        "a message that others held for long is taken away from its next holder at once",
        (
            Edit(
                f"{QUEUE}.hold",
                "message.held_since = now",
                "message.held_since = message.held_since if message.delivery_count else now",
            ),
        ),
        by="test_q5_the_longest_time_to_hold",
    ),
    Mutant(
        "a lease may be renewed for ever",
        "Q5",
        "the declared total is not true",
        (Edit(f"{MESSAGES}.renew", ", held.held_since + lease_total_seconds_max", ", float('inf')"),),
    ),
    Mutant(
        "a body is altered",
        "Q6",
        "bytes that are no text come back as others",
        (
            Edit(
                f"{DOOR}.send",
                SEND,
                "self.messages.send([msgspec.structs.replace(m, body=m.body.decode('utf-8', 'replace').encode()) "
                "for m in messages])",
            ),
        ),
    ),
    Mutant(
        "a header is lost",
        "Q6",
        "messages go to the wrong partition",
        (
            Edit(
                f"{DOOR}.send", SEND, "self.messages.send([msgspec.structs.replace(m, partition=0) for m in messages])"
            ),
        ),
    ),
    Mutant(
        "half of a refused batch is sent",
        "Q6",
        "the sender repeats it and doubles that half",
        (
            Edit(
                f"{DOOR}.send",
                f"self.check(messages)\n    {SEND}",
                "for each in messages:\n        self.check([each])\n        self.messages.send([each])",
            ),
        ),
    ),
    Mutant(
        "a body past its limit is taken",
        "Q6",
        "a service would refuse it when the record is already there",
        (
            Edit(
                "perdure.memory._messages:check_envelopes",
                "len(envelope.body) > limits.body_bytes_max",
                "False",
            ),
        ),
    ),
    Mutant(
        "a dead letter is dropped",
        "Q7",
        "a message is gone and nobody knows",
        (Edit(f"{QUEUE}.take", BURY, "self.remove(message)"),),
    ),
    Mutant(
        "a message is delivered for ever",
        "Q7",
        "poison takes down process after process",
        (Edit(f"{QUEUE}.take", "message.delivery_count >= limits.deliveries_max", "False"),),
    ),
    Mutant(
        "a message is buried one delivery too early",
        "Q7",
        "the last try, which records the failure, never comes",
        (Edit(f"{QUEUE}.take", "message.delivery_count >= limits", "message.delivery_count + 1 >= limits"),),
    ),
    Mutant(
        "a dead letter has no reason",
        "Q7",
        "nobody knows what to mend",
        (Edit(f"{QUEUE}.bury", "reason=reason", 'reason=""'),),
    ),
    Mutant(
        "looking at dead letters takes them",
        "Q7",
        "who looks twice finds nothing",
        (
            Edit(
                f"{MESSAGES}.peek_dead_letters",
                "return list(itertools.islice(self._queue(queue).dead.values(), limit))",
                "dead = self._queue(queue).dead\n    return [dead.pop(number) for number in list(dead)[:limit]]",
            ),
        ),
    ),
    Mutant(
        "a redriven letter stays dead as well",
        "Q7",
        "it is redriven again and again",
        (
            Edit(
                f"{MESSAGES}.redrive",
                "was_there = self.drop(letter)",
                "was_there = int(letter.receipt) in self._queue(letter.envelope.queue).dead",
            ),
        ),
    ),
    Mutant(
        "a batch hides a failure",
        "Q8",
        "messages beyond a service's limit are lost in silence",
        (Edit(f"{DOOR}.send", SEND, 'self.messages.send(messages[: self.capabilities["turns"].send_batch_max])'),),
    ),
    Mutant(
        "the outcomes of a batch are in another order",
        "Q8",
        "the wrong message is repeated",
        (Edit(f"{DOOR}.send", "for message in messages]", "for message in reversed(messages)]"),),
    ),
    Mutant(
        "queues of two classes are one",
        "Q9",
        "a worker of turns gets activities",
        (
            Edit(
                f"{MESSAGES}._queue",
                "setdefault(name, _Queue())",
                'setdefault(QueueName(name.partition(":")[2]), _Queue())',
            ),
        ),
    ),
    Mutant(
        "an exclusive group is given to two",
        "Q9",
        "turns of one instance collide all the time",
        (Edit(f"{QUEUE}._is_group_taken", "return any(", "return False and any("),),
    ),
    Mutant(
        "a held group loses what waits behind it",
        "Q9",
        "messages for a busy instance are never seen again",
        (Edit(f"{QUEUE}.take", "heapq.heappush(self._visible, number)", "pass"),),
    ),
    Mutant(
        "a completed message keeps its group busy",
        "Q9",
        "an instance stands still after its first turn",
        (
            Edit(f"{QUEUE}.let_go", "held.discard(message.number)", "pass"),
            Edit(
                f"{QUEUE}._is_group_taken",
                "self.messages[number].holder != worker",
                "number not in self.messages or self.messages[number].holder != worker",
            ),
        ),
    ),
    Mutant(
        "a message that comes wakes nobody who waits",
        "Q10",
        "every step of an instance takes the whole poll",
        (Edit(f"{MESSAGES}._add", "self.changes.wake(envelope.queue)", "pass"),),
    ),
    Mutant(
        "an empty receive answers at once",
        "Q10",
        "an idle worker asks, and pays, without a pause",
        (Edit(f"{DOOR}.receive", "if found or patience <= 0:", "if True:"),),
    ),
    Mutant(
        "a receive waits its whole time though there is a message",
        "Q10",
        "every step of an instance takes the whole poll",
        (Edit(f"{DOOR}.receive", "if found or patience <= 0:", "if patience <= 0:"),),
    ),
    Mutant(
        "more is received than was asked for",
        "Q10",
        "a worker holds what it has no room for",
        (Edit(f"{DOOR}.receive", "min(limit, limits.receive_batch_max)", "limits.receive_batch_max"),),
        named=("test_q10_", "test_q1_", "test_q8_"),
    ),
    Mutant(
        "an id that was sent before is swallowed",
        "Q11",
        "a repeated send, the repair of a crash, repairs nothing",
        (
            Edit(
                f"{DOOR}.send",
                SEND,
                'seen = self.__dict__.setdefault("seen", set())\n'
                "    fresh = [m for m in messages if not (m.message_id in seen or seen.add(m.message_id))]\n"
                "    self.messages.send(fresh)",
            ),
        ),
    ),
    Mutant(
        "nobody is told that a message was put aside",
        "Q10",
        "a damaged message holds up its group until its lease would have ended",
        (
            Edit(
                f"{MESSAGES}.dead_letter",
                ".bury(held, reason)\n        self.changes.wake(delivery.envelope.queue)",
                ".bury(held, reason)",
            ),
        ),
        by="test_q10_a_waiting_receive_ends_as_soon_as_what_is_before_it",
    ),
)
