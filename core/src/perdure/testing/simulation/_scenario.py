"""What to simulate, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - part of public signatures, resolved by documentation
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from perdure.authoring import Activity, Orchestration
from perdure.errors import Misuse
from perdure.memory import MemoryQueue, MemoryStore
from perdure.testing._oracles import Finding
from perdure.testing.simulation._faults import Fault

if TYPE_CHECKING:
    from perdure.authoring import Definition

__all__ = ["FINDINGS", "Outcome", "Scenario"]

FINDINGS: Final = {
    "client": "a client meets no error but Unavailable and Unknown",
    "dead letter": "no message is given up",
    "idle": "a worker takes what waits for it",
    "repeats": "the same seed gives the same trace",
    "result": "the result is that of a run without faults",
    "stop": "a worker that is told to stop stops",
    "stuck": "somebody can always go on",
    "unfinished": "every instance ends once faults are over",
    "unhandled": "no error goes unseen",
    "worker": "a worker fails of nothing",
}
"""What each code of a finding stands for, beside `perdure.testing.ORACLES`."""

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """An orchestration, and the hub and the workers that it runs on.

    Attributes:
        orchestration: What each instance runs.
        args: Its arguments.
        kwargs: Its arguments by name.
        definitions: Everything that workers know: activities and further orchestrations. The orchestration itself need
            not be among them.
        instances: How many are started; 1 or more.
        workers: How many processes run them; 1 or more.
        events: Name and payload of each event that every instance is sent, at any time.
        is_any_result: Results may differ from those of a run without faults: for code whose activities give another
            answer each time.
        finish_seconds: Virtual time after the last fault in which every instance must end.
        store_type: The histories: `MemoryStore`, or a broken one to see it found.
        queue_type: The same for messages.
    """

    orchestration: Orchestration[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    definitions: tuple[Definition, ...] = ()
    instances: int = 3
    workers: int = 3
    events: tuple[tuple[str, Any], ...] = ()
    is_any_result: bool = False
    finish_seconds: float = 30 * DAY_SECONDS
    store_type: type[MemoryStore] = MemoryStore
    queue_type: type[MemoryQueue] = MemoryQueue

    def __post_init__(self) -> None:
        """Check the counts.

        Raises:
            Misuse: There is nothing to run.
        """
        for name in ("instances", "workers"):
            if getattr(self, name) < 1:
                raise Misuse(f"Scenario.{name} is {getattr(self, name)}: give 1 or more.")

    @property
    def code(self) -> tuple[Definition, ...]:
        """Everything that workers know."""
        known = any(one is self.orchestration for one in self.definitions)
        return self.definitions if known else (self.orchestration, *self.definitions)

    def queues(self, kind: type[Definition]) -> tuple[str, ...]:
        """Name the queues of orchestrations or of activities, in the order of definition."""
        return tuple(dict.fromkeys(["default", *(one.queue for one in self.code if isinstance(one, kind))]))

    @property
    def turns(self) -> tuple[str, ...]:
        """Queues of orchestrations."""
        return self.queues(Orchestration)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Queues of activities."""
        return self.queues(Activity)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        seed: Of the run; None for the one without faults.
        trace_hash: Over everything that happened, 64 hex digits: equal for equal seeds.
        findings: What must not be; empty if all is well. Codes are keys of `FINDINGS` and `perdure.testing.ORACLES`.
        faults: What went wrong around the code, in order.
        results: How each instance ended, by its id: JSON of the result, or the failure.
        trace: Calls to the hub, faults and what processes did, a line each, in order.
        virtual_seconds: How long it took in virtual time.
        steps: How often some task went on.
        deaths: Processes that died.
    """

    seed: int | None
    trace_hash: str
    findings: tuple[Finding, ...]
    faults: tuple[Fault, ...]
    results: dict[str, str]
    trace: tuple[str, ...]
    virtual_seconds: float
    steps: int
    deaths: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
