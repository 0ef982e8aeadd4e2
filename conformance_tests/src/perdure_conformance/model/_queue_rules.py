"""Random calls to a WorkQueue, each compared with the model; in the end, everything that must be there comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition

from perdure.spi import DeadLetters, Delivery, Envelope, QueueName, WorkQueue, queue_class
from perdure_conformance.material import TASKS, TURNS, message
from perdure_conformance.model._histories import Broken
from perdure_conformance.model._machine import WHO, WORKERS, Machine, after_each, call
from perdure_conformance.model._messages import Messages

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["QUEUE", "QueueMachine"]

QUEUES = [TURNS, TASKS]
QUEUE = st.sampled_from(QUEUES)
WAIT_SECONDS = 8.0
"""How long a receive waits for a message that must be there."""

BRIEF_MOMENTS, LONG_MOMENTS = 1, 600
LEASE = st.sampled_from([BRIEF_MOMENTS, BRIEF_MOMENTS, LONG_MOMENTS])
DELAY = st.sampled_from([0, 0, BRIEF_MOMENTS])
BACK = st.sampled_from([0, 0, 1, 2])
COUNT = st.integers(1, 3)
ALL = 100


class QueueMachine(Machine):
    """Two queues of one storage, and a worker at each."""

    def __init__(self) -> None:
        self.queues: dict[int, WorkQueue] = {}
        self.sent: list[Envelope] = []
        self.had: dict[int, list[Delivery]] = {}
        super().__init__()
        self.messages = Messages(self.queues[0].capabilities, self.slack_seconds)

    async def open_client(self, who: int) -> None:
        """Open a queue; what its predecessor held is forgotten."""
        await super().open_client(who)
        self.queues[who] = await self.harness.open_queue()
        self.had[who] = []

    async def close_client(self, who: int) -> None:
        """Close a queue."""
        await super().close_client(who)
        await self.queues[who].aclose()

    # ── what may happen ──────────────────────────────────────────────────────────────────────────────────────────

    @call(who=WHO, queue=QUEUE, group=st.sampled_from("ab"), delay=DELAY, count=COUNT)
    async def send(self, who: int, queue: QueueName, group: str, delay: int, count: int) -> None:
        """Send new messages."""
        began = self.now()
        envelopes = [self.new_message(queue, group, delay) for _ in range(count)]
        await self._send(who, envelopes, began)

    @precondition(lambda self: self.sent)
    @call(who=WHO, back=BACK)
    async def send_again(self, who: int, back: int) -> None:
        """Send a message again, as whoever repeats an outbox does."""
        began = self.now()
        await self._send(who, [self.sent[max(0, len(self.sent) - 1 - back)]], began)

    @call(who=WHO, queue=QUEUE, limit=COUNT, lease=LEASE)
    async def receive(self, who: int, queue: QueueName, limit: int, lease: int) -> None:
        """Take messages; those that must be there have to come."""
        self.had[who] += await self._receive(who, queue, limit, self._lease_seconds(queue, lease))

    @call(who=WHO, back=BACK, count=COUNT)
    async def complete(self, who: int, back: int, count: int) -> None:
        """Complete what this worker had, whether or not it still holds it."""
        batch, began = await self.had_or_taken(who, back, count), self.now()
        answers = await self.queues[who].complete(batch)
        self.follow_completions(batch, answers, began)

    @call(who=WHO, back=BACK, count=COUNT, lease=st.sampled_from([LONG_MOMENTS, LONG_MOMENTS, BRIEF_MOMENTS]))
    async def renew(self, who: int, back: int, count: int, lease: int) -> None:
        """Ask for more time."""
        batch, began = await self.had_or_taken(who, back, count), self.now()
        seconds = min(self._lease_seconds(queue, lease) for queue in QUEUES)
        answers = await self.queues[who].renew(batch, seconds)
        for delivery, answer in zip(batch, answers, strict=True):
            self.messages.renew(delivery, seconds, self.since(began), answer=answer)

    @call(who=WHO, back=BACK, count=COUNT, delay=st.sampled_from([0, BRIEF_MOMENTS, LONG_MOMENTS, LONG_MOMENTS]))
    async def abandon(self, who: int, back: int, count: int, delay: int) -> None:
        """Give messages back."""
        batch, began = await self.had_or_taken(who, back, count), self.now()
        most = min(limits.delay_seconds_max for limits in self.queues[who].capabilities.values())
        seconds = min(delay * self.moment, most)
        await self.queues[who].abandon(batch, delay_seconds=seconds)
        for delivery in batch:
            self.messages.abandon(delivery, seconds, self.since(began))

    @call(who=WHO, back=BACK)
    async def dead_letter(self, who: int, back: int) -> None:
        """Put a message aside."""
        batch, began = await self.had_or_taken(who, back, 1), self.now()
        for delivery in batch:
            reason = f"bad since {len(self.sent)}"
            await self.queues[who].dead_letter([delivery], reason)
            self.messages.dead_letter(delivery, reason, self.since(began))

    @call(long=st.booleans())
    async def time_passes(self, *, long: bool) -> None:
        """Let leases end: the brief ones, or all where time is virtual."""
        moments = LONG_MOMENTS + BRIEF_MOMENTS if long and self.harness.time_is_virtual else 2 * BRIEF_MOMENTS
        await self.harness.let_time_pass(moments * self.moment)

    @call(who=WHO, closes=st.booleans())
    async def crash_worker(self, who: int, *, closes: bool) -> None:
        """Drop a client and its worker; what it held comes back when its leases end."""
        await self.crash(who, closes=closes)

    @after_each
    async def the_dead_letters_are_what_the_model_says(self) -> None:
        """Look at them through each client."""
        await self._look()

    async def at_end(self) -> None:
        """Take and complete what is there, at once, after the brief leases, and (in virtual time) after the long ones.

        Raises:
            Broken: Something came too early, or not at all.
        """
        await super().at_end()
        for moments in (0, 2 * BRIEF_MOMENTS, 2 * LONG_MOMENTS if self.harness.time_is_virtual else 0):
            await self.harness.let_time_pass(moments * self.moment)
            for queue in QUEUES:
                await self._empty(queue)
        await self._look()
        for queue in QUEUES:
            if isinstance(self.queues[0], DeadLetters) and (worn := self.messages.worn(queue, self.now())):
                raise Broken(f"{worn} came as often as they may and are not put aside (Q7)")

    # ── what it knows ────────────────────────────────────────────────────────────────────────────────────────────

    def new_message(self, queue: QueueName, group: str, delay: int) -> Envelope:
        """Make a message that was not sent yet, due after some moments."""
        due = self.harness.environment.clock.now() + delay * self.moment if delay else 0.0
        envelope = message(queue, f"m-{len(self.sent)}", group=group, body=b"%d" % len(self.sent), not_before=due)
        self.sent.append(envelope)
        return envelope

    async def had_or_taken(self, who: int, back: int, count: int) -> list[Delivery]:
        """Give what a worker had; if it had nothing, it takes something now, so that no rule waits for luck."""
        if not self.had[who]:
            queue = QUEUES[who]
            if not self.messages.there:
                await self._send(who, [self.new_message(queue, "a", 0) for _ in range(count)], self.now())
            self.had[who] += await self._receive(who, queue, count, BRIEF_MOMENTS * self.moment)
        return self.had_lately(who, back % max(1, len(self.had[who])), count)

    def had_lately(self, who: int, back: int, count: int) -> list[Delivery]:
        """Give up to `count` deliveries that a worker had, in any order but none twice."""
        return self.had[who][::-1][back : back + count]

    def follow_sends(self, envelopes: Sequence[Envelope], began: float, wall: float) -> None:
        """Let the model take in what was sent; `wall` was the time when `began` was."""
        for envelope in envelopes:
            self.messages.send(envelope, max(0.0, envelope.not_before - wall), self.since(began))

    def follow_completions(self, batch: Sequence[Delivery], answers: Sequence[bool], began: float) -> None:
        """Let the model take in what was completed.

        Raises:
            Broken: An answer is wrong.
        """
        for delivery, answer in zip(batch, answers, strict=True):
            self.messages.complete(delivery, self.since(began), answer=answer)

    async def _empty(self, queue: QueueName) -> None:
        batch: list[Delivery] | None = None
        while batch or batch is None or self.messages.due(queue, self.now()):
            batch = await self._receive(0, queue, ALL, self._lease_seconds(queue, LONG_MOMENTS))
            began = self.now()
            self.follow_completions(batch, await self.queues[0].complete(batch), began)

    async def _look(self) -> None:
        for client in self.queues.values():
            if isinstance(client, DeadLetters):
                for queue in QUEUES:
                    letters = await client.peek_dead_letters(queue, limit=1000)
                    self.messages.look(queue, letters, self.now())

    async def _send(self, who: int, envelopes: list[Envelope], began: float) -> None:
        wall = self.harness.environment.clock.now()
        outcomes = await self.queues[who].send(envelopes)
        if [(one.message_id, one.error) for one in outcomes] != [(one.message_id, None) for one in envelopes]:
            raise Broken(f"sending {envelopes} was answered {outcomes} (Q8)")
        self.follow_sends(envelopes, began, wall)

    async def _receive(self, who: int, queue: QueueName, limit: int, lease_seconds: float) -> list[Delivery]:
        began = self.now()
        due = self.messages.due(queue, began)
        batch = await self.harness.finish(
            self.harness.begin_receive(
                self.queues[who],
                queue,
                limit=limit,
                lease_seconds=lease_seconds,
                worker=WORKERS[who],
                wait_seconds=WAIT_SECONDS if due else 0,
            )
        )
        if len(batch) > limit or (due and not batch):
            raise Broken(f"{queue}: {len(batch)} messages were received, at most {limit} were asked; due was {due}")
        for delivery in batch:
            self.messages.receive(delivery, WORKERS[who], lease_seconds, self.since(began))
        return batch

    def _lease_seconds(self, queue: QueueName, moments: int) -> float:
        return min(moments * self.moment, self.queues[0].capabilities[queue_class(queue)].lease_seconds_max)
