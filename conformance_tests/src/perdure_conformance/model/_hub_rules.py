"""Random calls to all three: what a Committer does is what the store and the queue would have been told one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from perdure.spi import Committed, Conflict, Create, Delivery, Done, Key, QueueName, Step
from perdure_conformance.model._histories import Broken, foreseen
from perdure_conformance.model._history_rules import KEYS, HistoryMachine
from perdure_conformance.model._machine import WHO, call
from perdure_conformance.model._queue_rules import QUEUE, QueueMachine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HubMachine"]

AGO = st.sampled_from([0, 0, 0, 1, 2])


class HubMachine(HistoryMachine, QueueMachine):
    """Two clients of everything."""

    @call(
        who=WHO, key=st.sampled_from(KEYS), ago=AGO, child=st.sampled_from(KEYS), queue=QUEUE, count=st.integers(0, 2)
    )
    async def commit(self, who: int, key: Key, ago: int, child: Key, queue: QueueName, count: int) -> None:
        """Commit a turn: its record, a child, a message, and the inputs of the turn."""
        append = self.new_addition(key, ago, 1, "Running") or self.new_creation(key, ago, 1)
        step = Step(
            append=append,
            create=(self._new_child(child),) if child != key else (),
            send=(self.new_message(queue, "a", 0),),
            complete=tuple(self.had_lately(who, 0, count)),
        )
        await self._commit(who, step)

    def _new_child(self, key: Key) -> Create:
        append = self.new_creation(key, 0, 1)
        verdicts = [self.new_message(QueueName("turns:default"), "b", 0) for _ in range(2)]
        return Create(append, *verdicts)

    async def _commit(self, who: int, step: Step) -> None:
        began, wall = self.now(), self.harness.environment.clock.now()
        committer = self.harness.make_committer(self.stores[who], self.queues[who])
        answer = await committer.commit(step)
        assert step.append is not None
        if isinstance(answer, Conflict):
            self.follow(step.append, answer)
            return
        self.follow(step.append, Committed(answer.version))
        for create, mine in zip(step.create, answer.created, strict=True):
            self._follow_create(create, mine=mine)
            self.follow_sends([create.then if mine else create.otherwise], began, wall)
        self.follow_sends(step.send, began, wall)
        self._follow_completions_of(answer, step.complete, began)

    def _follow_create(self, create: Create, *, mine: bool) -> None:
        promised = foreseen(self.states[create.append.key], create.append)
        if isinstance(promised, Committed) != mine:
            raise Broken(f"{create.append} was answered {mine=}; promised is {promised} (C6)")
        if isinstance(promised, Committed | Conflict):
            self.follow(create.append, promised)

    def _follow_completions_of(self, done: Done, batch: Sequence[Delivery], began: float) -> None:
        if done.claimed:
            raise Broken(f"{done} has claimed what nobody wanted (C6)")
        self.follow_completions(batch, done.completed, began)
