"""What the clauses of a queue share: each is told for turns and for tasks."""

from __future__ import annotations

import pytest

from perdure.spi import DeadLetters, QueueCapabilities, QueueName, WorkQueue, queue_class
from perdure_conformance.harness import Contract
from perdure_conformance.material import TASKS, TURNS

__all__ = ["QueueContract", "dead_letters_of", "limits_of"]


class QueueContract(Contract):
    """A contract about queues: `name` is a queue of each class in turn."""

    @pytest.fixture(params=[TURNS, TASKS])
    def name(self, request: pytest.FixtureRequest) -> QueueName:
        """Give a queue of turns, then one of tasks: services build them from different things."""
        return QueueName(request.param)


def limits_of(queue: WorkQueue, name: QueueName) -> QueueCapabilities:
    """Look up what the class of a queue declares."""
    return queue.capabilities[queue_class(name)]


def dead_letters_of(queue: WorkQueue) -> DeadLetters:
    """Give the queue as one that looks after dead letters, or skip the test because it does not."""
    if not isinstance(queue, DeadLetters):
        pytest.skip(f"{type(queue).__name__} does not implement DeadLetters")
    return queue
