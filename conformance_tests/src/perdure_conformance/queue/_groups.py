"""Q9: queues are apart, and where groups are exclusive, one holder at a time has one, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from perdure.spi import QueueName, WorkQueue
from perdure_conformance.material import ids_of, message
from perdure_conformance.queue._contract import QueueContract, limits_of

if TYPE_CHECKING:
    from perdure_conformance.harness import Harness

__all__ = ["GroupClauses"]

NAMES = [
    "tasks:mail",
    "tasks:Mail",
    "tasks:mail2",
    "tasks:mai",
    "tasks:mail/eu",
    "tasks:mail:eu",
    "tasks:mail eu",
    "tasks:mail%",
    "tasks:mail_",
    "tasks:почта 🦆",
    "tasks:../mail",
    "tasks:timers",
    "turns:mail",
    "turns:default",
    "tasks:default",
]


class GroupClauses(QueueContract):
    """Who gets what, by queue and by group."""

    async def test_q9_queues_do_not_touch_each_other(self, harness: Harness) -> None:
        """Queues are the only routing: a message of another queue would run where its code is not."""
        queue = await harness.open_queue()
        await queue.send([message(QueueName(name), f"for {name}") for name in NAMES])

        for name in NAMES:
            found = await harness.receive_one(queue, QueueName(name))
            assert (found.envelope.message_id, found.envelope.queue) == (f"for {name}", name)
            assert await harness.look(queue, QueueName(name)) == []

    async def test_q9_a_waiting_receive_is_not_ended_by_another_queue(self, harness: Harness) -> None:
        """A worker for the graphics card must not wake for every mail."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        waiting = harness.begin_receive(queue, QueueName("tasks:gpu"), wait_seconds=harness.moment)
        await harness.let_time_pass(0)

        await other.send([message(QueueName("tasks:mail"))])

        assert await harness.finish(waiting) == []

    async def test_q9_different_groups_are_received_side_by_side(self, harness: Harness, name: QueueName) -> None:
        """Thousands of instances run at the same time."""
        queue, other = await harness.open_queue(), await harness.open_queue()
        await queue.send([message(name, "m-1", group="a"), message(name, "m-2", group="b")])

        found = [
            await harness.receive_one(queue, name, worker="one"),
            await harness.receive_one(other, name, worker="other"),
        ]

        assert sorted(ids_of(found)) == ["m-1", "m-2"]

    async def test_q9_where_groups_are_not_exclusive_messages_of_one_go_to_many(self, harness: Harness) -> None:
        """The activities of one fan-out are all of one instance."""
        queue, name = await harness.open_queue(), QueueName("tasks:mail")
        if limits_of(queue, name).exclusive_groups:
            pytest.skip("exclusive_groups is declared for tasks")
        await queue.send([message(name, f"m-{number}", group="order") for number in range(5)])

        found = [await harness.receive_one(queue, name, worker=f"w-{number}") for number in range(5)]

        assert sorted(ids_of(found)) == [f"m-{number}" for number in range(5)]

    async def test_q9_an_exclusive_group_is_with_one_holder_at_a_time(self, harness: Harness, name: QueueName) -> None:
        """Two workers on one instance only make conflicts."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        self._need_groups(holder, name)
        await holder.send([message(name, f"m-{number}", group="order") for number in range(3)])
        await harness.receive_one(holder, name, worker="holder")

        assert await harness.look(other, name, worker="other") == []

    async def test_q9_an_exclusive_group_is_free_when_its_message_is_completed(
        self, harness: Harness, name: QueueName
    ) -> None:
        """Whoever waits gets the next message, and soon."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        self._need_groups(holder, name)
        await holder.send([message(name, "m-1", group="order"), message(name, "m-2", group="order")])
        held = await harness.receive_one(holder, name, worker="holder")
        waiting = harness.begin_receive(other, name, worker="other")
        await harness.let_time_pass(0.05)

        await holder.complete([held])

        assert ids_of(await harness.finish(waiting)) == ["m-2"]

    async def test_q9_an_exclusive_group_is_free_when_its_lease_ends(self, harness: Harness, name: QueueName) -> None:
        """A dead worker must not take the whole instance along."""
        dying, other = await harness.open_queue(), await harness.open_queue()
        self._need_groups(dying, name)
        await dying.send([message(name, "m-1", group="order"), message(name, "m-2", group="order")])
        await harness.receive_one(dying, name, lease_seconds=harness.moment, worker="dying")
        await harness.let_time_pass(2 * harness.moment)

        found = await harness.receive_many(other, name, 2, worker="other")

        assert ids_of(found) == ["m-1", "m-2"]

    async def test_q9_an_exclusive_group_is_in_order(self, harness: Harness, name: QueueName) -> None:
        """Received, completed, next: in the order of sending, also after one was given back."""
        queue = await harness.open_queue()
        self._need_groups(queue, name)
        sent = [f"m-{number}" for number in range(6)]
        for one in sent:
            await queue.send([message(name, one, group="order")])

        first = await harness.receive_one(queue, name)
        await queue.abandon([first])
        received: list[str] = []
        for _ in sent:
            found = await harness.receive_one(queue, name)
            received.append(found.envelope.message_id)
            await queue.complete([found])

        assert received == sent

    async def test_q9_a_held_group_does_not_hold_up_others(self, harness: Harness, name: QueueName) -> None:
        """A hundred messages of a busy instance stand in front of one of an idle one."""
        holder, other = await harness.open_queue(), await harness.open_queue()
        self._need_groups(holder, name)
        await holder.send([message(name, f"busy-{number}", group="busy") for number in range(100)])
        await holder.send([message(name, "idle", group="idle")])
        await harness.receive_one(holder, name, worker="holder")

        assert ids_of([await harness.receive_one(other, name, worker="other")]) == ["idle"]

    async def test_q9_of_eight_receivers_of_one_exclusive_group_one_has_it(
        self, harness: Harness, name: QueueName
    ) -> None:
        """The race itself."""
        queues = [await harness.open_queue() for _ in range(8)]
        self._need_groups(queues[0], name)
        await queues[0].send([message(name, f"m-{number}", group="order") for number in range(8)])

        calls = [
            harness.begin_receive(queue, name, limit=8, wait_seconds=0, worker=f"w-{who}")
            for who, queue in enumerate(queues)
        ]
        found = [await harness.finish(call) for call in calls]

        assert sum(bool(received) for received in found) == 1

    def _need_groups(self, queue: WorkQueue, name: QueueName) -> None:
        if not limits_of(queue, name).exclusive_groups:
            pytest.skip(f"exclusive_groups is not declared for {name}")
