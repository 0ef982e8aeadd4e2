"""Q7: what cannot be handled is put aside with its reason, never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.spi import DeadLetter, DeadLetters, Delivery, QueueName, WorkQueue
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, dead_letters_of, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["DeadLetterClauses"]

DELIVERIES_TRIED = 100


async def _bury(harness: Harness, queue: WorkQueue, name: QueueName, *ids: str, reason: str = "bad") -> DeadLetters:
    """Send messages, put each aside, and give the queue of dead letters."""
    letters = dead_letters_of(queue)
    for one in ids:
        await queue.send([message(name, one, body=one.encode())])
        await queue.dead_letter([await harness.receive_one(queue, name)], reason)
    return letters


class DeadLetterClauses(QueueContract):
    """Poison, and what operators do about it."""

    async def test_q7_a_message_that_came_too_often_is_put_aside(self, harness: Harness, name: QueueName) -> None:
        """It kills every worker that takes it; the others must get to work."""
        queue = await harness.open_queue()
        letters, most = dead_letters_of(queue), limits_of(queue, name).deliveries_max
        if most > DELIVERIES_TRIED:
            pytest.skip(f"deliveries_max={most} is more than is tried")
        await queue.send([message(name)])

        for count in range(1, most + 1):
            found = await harness.receive_one(queue, name)
            assert found.delivery_count == count
            await queue.abandon([found])
        assert await harness.look(queue, name) == []

        (letter,) = await letters.peek_dead_letters(name, limit=10)
        assert (letter.envelope.message_id, letter.delivery_count) == ("m-1", most)
        assert letter.reason

    async def test_q7_leases_that_end_count_as_deliveries(self, harness: Harness, name: QueueName) -> None:
        """A killed worker abandons nothing."""
        queue = await harness.open_queue()
        letters, most = dead_letters_of(queue), limits_of(queue, name).deliveries_max
        if most > DELIVERIES_TRIED:
            pytest.skip(f"deliveries_max={most} is more than is tried")
        await queue.send([message(name)])
        for _ in range(most - 1):
            await queue.abandon([await harness.receive_one(queue, name)])

        await harness.receive_one(queue, name, lease_seconds=harness.moment)
        await harness.let_time_pass(2 * harness.moment)

        assert await harness.look(queue, name) == []
        assert ids_of(await letters.peek_dead_letters(name, limit=10)) == ["m-1"]

    async def test_q7_a_message_put_aside_is_listed_with_its_reason(self, harness: Harness, name: QueueName) -> None:
        """Whoever finds it a week later must learn why."""
        queue = await harness.open_queue()
        await _bury(harness, queue, name, "m-1", reason="Poisoned: 'ключ' ist kein Schlüssel\nTraceback …")

        letters = dead_letters_of(await harness.open_queue())

        (letter,) = await letters.peek_dead_letters(name, limit=10)
        assert letter.reason == "Poisoned: 'ключ' ist kein Schlüssel\nTraceback …"
        assert (letter.envelope.body, letter.envelope.group, letter.delivery_count) == (b"m-1", "group of m-1", 1)

    async def test_q7_a_message_put_aside_is_not_received(self, harness: Harness, name: QueueName) -> None:
        """Not now and not when its lease would have ended."""
        queue = await harness.open_queue()
        dead_letters_of(queue)
        await queue.send([message(name)])
        await queue.dead_letter([await harness.receive_one(queue, name, lease_seconds=5 * harness.moment)], "bad")

        await harness.let_time_pass(6 * harness.moment)

        assert await harness.look(queue, name) == []

    async def test_q7_looking_changes_nothing(self, harness: Harness, name: QueueName) -> None:
        """Oldest first, up to the limit, the same each time."""
        queue = await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1", "m-2", "m-3")

        assert ids_of(await letters.peek_dead_letters(name, limit=2)) == ["m-1", "m-2"]
        assert ids_of(await letters.peek_dead_letters(name, limit=10)) == ["m-1", "m-2", "m-3"]
        assert ids_of(await letters.peek_dead_letters(name, limit=10)) == ["m-1", "m-2", "m-3"]

    async def test_q7_a_redriven_message_is_received_as_if_it_were_new(self, harness: Harness, name: QueueName) -> None:
        """The code was mended; the message gets all its deliveries again."""
        queue = await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1", "m-2")
        first, _ = await letters.peek_dead_letters(name, limit=10)

        assert await letters.redrive([first]) == [True]

        found = await harness.receive_one(queue, name)
        assert (found.envelope, found.delivery_count) == (first.envelope, 1)
        assert ids_of(await letters.peek_dead_letters(name, limit=10)) == ["m-2"]

    async def test_q7_a_redriven_message_can_be_put_aside_again(self, harness: Harness, name: QueueName) -> None:
        """The code was not mended after all."""
        queue = await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1")

        for _ in range(3):
            await letters.redrive(await letters.peek_dead_letters(name, limit=10))
            await queue.dead_letter([await harness.receive_one(queue, name)], "still bad")

        (letter,) = await letters.peek_dead_letters(name, limit=10)
        assert letter.reason == "still bad"

    async def test_q7_a_redriven_message_wakes_whoever_waits(self, harness: Harness, name: QueueName) -> None:
        """It is due at once."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1")
        waiting = harness.begin_receive(other, name)
        await harness.let_time_pass(0.05)

        await letters.redrive(await letters.peek_dead_letters(name, limit=10))

        assert ids_of(await harness.finish(waiting)) == ["m-1"]

    async def test_q7_a_dropped_message_is_gone_for_good(self, harness: Harness, name: QueueName) -> None:
        """And only that one."""
        queue = await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1", "m-2")
        first, second = await letters.peek_dead_letters(name, limit=10)

        assert await letters.drop([first]) == [True]

        assert await letters.peek_dead_letters(name, limit=10) == [second]
        assert await harness.look(queue, name) == []

    @pytest.mark.parametrize("how", ["redrive", "drop"])
    async def test_q7_what_is_not_there_any_more_is_told(self, harness: Harness, name: QueueName, how: str) -> None:
        """Two operators look after one queue: the message is sent or dropped once."""
        queue = await harness.open_queue()
        letters = await _bury(harness, queue, name, "m-1", "m-2")
        first, second = await letters.peek_dead_letters(name, limit=10)
        act = letters.redrive if how == "redrive" else letters.drop
        await act([first])

        assert await act([first, second]) == [False, True]
        assert await letters.redrive([first]) == [False]
        assert await letters.drop([first]) == [False]
        assert len(await harness.look(queue, name)) == (2 if how == "redrive" else 0)

    async def test_q7_dead_letters_of_different_queues_do_not_mix(self, harness: Harness) -> None:
        """Nor do those of turns and tasks of one name."""
        queue = await harness.open_queue()
        names = [QueueName(one) for one in ("turns:default", "tasks:default", "tasks:mail")]
        letters = dead_letters_of(queue)
        for name in names:
            await _bury(harness, queue, name, f"of {name}")

        found = [ids_of(await letters.peek_dead_letters(name, limit=10)) for name in names]

        assert found == [[f"of {name}"] for name in names]
        assert await letters.peek_dead_letters(QueueName("tasks:empty"), limit=10) == []

    async def test_q7_putting_aside_a_lost_message_leaves_it_to_its_new_holder(
        self, harness: Harness, name: QueueName
    ) -> None:
        """It may succeed there."""
        old, new = await harness.open_queue(), await harness.open_queue()
        if not limits_of(old, name).detects_lost_lease:
            pytest.skip("detects_lost_lease is not declared")
        letters = dead_letters_of(old)
        await old.send([message(name)])
        lost = await harness.receive_one(old, name, lease_seconds=harness.moment, worker="old")
        await harness.let_time_pass(2 * harness.moment)
        held = await harness.receive_one(new, name, worker="new")

        await old.dead_letter([lost], "bad")

        assert await letters.peek_dead_letters(name, limit=10) == []
        assert await new.complete([held]) == [True]

    async def test_q7_several_messages_are_put_aside_together(self, harness: Harness, name: QueueName) -> None:
        """What is held is put aside, what is not is passed over."""
        queue = await harness.open_queue()
        letters = dead_letters_of(queue)
        await queue.send([message(name, f"m-{number}") for number in range(3)])
        held: list[Delivery] = await harness.receive_many(queue, name, 3)
        await queue.complete([held[1]])

        await queue.dead_letter(held, "bad")

        found: list[DeadLetter] = await letters.peek_dead_letters(name, limit=10)
        assert sorted(ids_of(found)) == sorted(ids_of([held[0], held[2]]))
