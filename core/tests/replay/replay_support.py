"""Driving one execution by values: events in, commands out. Needs `perdure.replay` and msgspec, nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from perdure.commands import RECORDED_AS, Command
from perdure.errors import ActivityError, Failure, SubOrchestrationError
from perdure.events import DECISIONS, INPUTS, ExecutionStarted, Parent, RetryRules, TurnStarted
from perdure.replay import Call, Execution, Program, ReplayLoop, current_loop

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
Code = Callable[..., Coroutine[Any, Any, object]]

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


class ActivityCall(Call[Any]):
    """What `perdure.authoring` makes of an activity, without its encoding rules."""

    def __init__(self, name: str, value: object = None, **options: Any) -> None:
        super().__init__()
        self.name = name
        self.value = value
        self.options = options

    def _start(self, loop: ReplayLoop) -> asyncio.Future[Any]:
        options = {"queue": "default", "timeout": 0.0, "retry": None, "handler": None, "decode": decode} | self.options
        return loop.start_task(name=self.name, input=encode(self.value), restore=self._restore, **options)

    def _restore(self, failure: Failure, _instance_id: str) -> BaseException:
        return ActivityError(f"{self.name}: {failure}", failure=failure, name=self.name)

    async def _run_outside(self) -> Any:
        return f"{self.name} ran outside"


class ChildCall(Call[Any]):
    """The same of an orchestration."""

    def __init__(self, name: str, value: object = None, *, id: str | None = None, **options: Any) -> None:
        super().__init__()
        self.name = name
        self.value = value
        self.id = id
        self.options = options

    def _start(self, loop: ReplayLoop) -> asyncio.Future[Any]:
        options = {"queue": "default", "version": None, "retry": None, "handler": None, "decode": decode} | self.options
        return loop.start_child(
            name=self.name, instance_id=self.id, input=encode(self.value), restore=self._restore, **options
        )

    def _restore(self, failure: Failure, instance_id: str) -> BaseException:
        return SubOrchestrationError(str(failure), failure=failure, name=self.name, instance_id=instance_id)

    async def _run_outside(self) -> Any:
        return f"{self.name} ran outside"


class EventCall(Call[Any]):
    """The same of an external event."""

    def __init__(self, name: str, decode: Callable[[bytes], Any] = decode) -> None:
        super().__init__()
        self.name = name
        self.decode = decode

    def _start(self, loop: ReplayLoop) -> asyncio.Future[Any]:
        return loop.wait_for_event(self.name, self.decode)

    async def _run_outside(self) -> Any:
        raise AssertionError("an event has no outside")


opened: list[Execution] = []
"""Executions to close after a test."""
activity = ActivityCall
child = ChildCall
event = EventCall


def loop() -> ReplayLoop:
    """The loop of the orchestration that asks."""
    found = current_loop()
    assert found is not None
    return found


def program_of(code: Code) -> Program:
    """Make a program of a coroutine function of one parameter, or none."""
    takes_input = bool(inspect.signature(code).parameters)

    def start(payload: bytes) -> Coroutine[Any, Any, object]:
        return code(decode(payload)) if takes_input else code()

    return Program(code.__name__, None, start, encode)


def as_recorded(command: Command) -> DECISIONS:
    """The event that a command becomes."""
    kind = RECORDED_AS[type(command)]
    return kind(**{name: getattr(command, name) for name in kind.__struct_fields__})


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """A recorded turn."""

    started: TurnStarted
    inputs: list[INPUTS]
    decisions: list[DECISIONS]


def turn_at(now: float) -> TurnStarted:
    """Begin a turn."""
    return TurnStarted(now, "worker", "code", 0)


@dataclass
class Driven:
    """One execution and its record so far."""

    code: Code
    value: object = None
    seed: int = 7
    instance_id: str = "order-1"
    execution_count: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    parent: Parent | None = None
    now: float = 1000.0
    history: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.execution = self._fresh(self.code)

    def _fresh(self, code: Code) -> Execution:
        execution = Execution(
            program_of(code), instance_id=self.instance_id, incarnation="inc", execution=self.execution_count
        )
        opened.append(execution)
        return execution

    def started(self) -> ExecutionStarted:
        """Its first input."""
        return ExecutionStarted(
            self.code.__name__, encode(self.value), self.seed, self.now, tags=self.tags, parent=self.parent
        )

    def start(self, *inputs: INPUTS) -> tuple[Command, ...]:
        """Run the first turn."""
        return self.turn(self.started(), *inputs)

    def turn(self, *inputs: INPUTS, after: float = 0.0) -> tuple[Command, ...]:
        """Run a new turn, `after` seconds later, and record it."""
        self.now += after
        commands = self.execution.run(turn_at(self.now), inputs)
        self.history.append(Turn(turn_at(self.now), list(inputs), [as_recorded(each) for each in commands]))
        return commands

    def replayed(self, code: Code | None = None, history: Sequence[Turn] | None = None) -> Driven:
        """Give a new execution that went through the record, with other code if given; it can go on."""
        again = Driven(code or self.code, self.value, self.seed, self.instance_id, self.execution_count)
        again.now = self.now
        for turn in self.history if history is None else history:
            again.execution.replay(turn.started, turn.inputs, turn.decisions)
            again.history.append(turn)
        return again


def result_of(commands: Sequence[Command]) -> Any:
    """Decode the result that the last command completes with."""
    return decode(commands[-1].result)  # type: ignore[union-attr]


def rules(**options: Any) -> RetryRules:
    """Retry rules without jitter."""
    return RetryRules(**({"attempts": 3, "first_delay": 1.0} | options))


def failure(type: str = "ValueError", message: str = "no", **options: Any) -> Failure:
    """What an activity failed with."""
    return Failure(type, message, **options)


# Calls made through this module are located in the tests, as those made through authoring are in user code.
__name__ = "perdure.replay_support"
