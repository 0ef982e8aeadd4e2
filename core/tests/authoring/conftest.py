"""One instance, run turn by turn on the durable loop, with neither hub nor worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from perdure import events
from perdure.replay import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perdure.authoring import Orchestration
    from perdure.commands import Command

EPOCH = 1_700_000_000.0


class Instance:
    """An instance of one orchestration, named `order-1`."""

    def __init__(self, definition: Orchestration[..., Any]) -> None:
        self.definition = definition
        self.execution = Execution(definition.program, instance_id="order-1", incarnation="one")
        self.recorded: list[tuple[events.TurnStarted, list[events.INPUTS], list[events.DECISIONS]]] = []

    def start(self, *args: Any, **kwargs: Any) -> tuple[Command, ...]:
        """Run the first turn."""
        return self.start_from(self.definition.encode_args(*args, **kwargs))

    def start_from(self, payload: bytes) -> tuple[Command, ...]:
        """Run the first turn over bytes that somebody else recorded."""
        definition = self.definition
        return self.feed(
            events.ExecutionStarted(
                name=definition.name,
                input=payload,
                seed=7,
                created_at=EPOCH,
                version=definition.version,
                tags={"a": "b"},
            )
        )

    def feed(self, *inputs: events.INPUTS, now: float = EPOCH) -> tuple[Command, ...]:
        """Run one more turn."""
        turn = events.TurnStarted(now=now, worker="w", code_version="c", python_minor=11)
        return self.execution.run(turn, inputs)


@pytest.fixture
def begin() -> Iterator[Callable[[Orchestration[..., Any]], Instance]]:
    """Make instances, and tear them down at the end."""
    instances: list[Instance] = []

    def begin(definition: Orchestration[..., Any]) -> Instance:
        instances.append(Instance(definition))
        return instances[-1]

    yield begin
    for instance in instances:
        instance.execution.close()
