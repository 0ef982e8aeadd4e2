"""What is going on when the process dies: small orchestrations that make every kind of call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perdure import Event, Retry, SubOrchestrationError, activity, activity_info, orchestration
from perdure.testing import Effect

if TYPE_CHECKING:
    from collections.abc import Callable

    from perdure.authoring import Definition, Orchestration

__all__ = ["STORIES", "Story", "Told", "go"]

go: Event[int] = Event("go")

FAILS_UNTIL = 2


@dataclass
class Told:
    """One telling of a story.

    Attributes:
        code: What workers know.
        program: What is started.
        effects: What its activities write down.
    """

    program: Orchestration[..., Any]
    code: tuple[Definition, ...]
    effects: list[Effect] = field(default_factory=list[Effect])


@dataclass(frozen=True)
class Story:
    """A story.

    Attributes:
        tell: Makes its code; its activities write into the list.
        result: What comes of it; what it fails with begins so, if `fails`.
        fails: It ends as a failure.
        events: What is sent to it.
        of_client: The one who dies is not the worker but the client, while it starts it.
    """

    tell: Callable[[float, list[Effect]], tuple[Definition, ...]]
    result: object
    fails: bool = False
    events: tuple[int, ...] = ()
    of_client: bool = False

    def told(self, moment: float) -> Told:
        """Begin to tell it; the orchestration that is started comes first."""
        effects: list[Effect] = []
        program, *others = self.tell(moment, effects)
        started: Any = program
        return Told(started, (program, *others), effects)


def activity_of(effects: list[Effect]) -> Any:
    """Make an activity that gives back what it gets, and keeps a ledger."""

    @activity
    async def effect(value: Any) -> Any:
        _write(effects)
        return value

    return effect


def _write(effects: list[Effect]) -> None:
    info = activity_info()
    effects += [Effect(info.idempotency_key, info.attempt, is_done) for is_done in (False, True)]


def chain(_: float, effects: list[Effect]) -> tuple[Definition, ...]:
    effect = activity_of(effects)

    @orchestration
    async def chaining() -> list[str]:
        return [await effect("a"), await effect("b")]

    return chaining, effect


def timers(moment: float, effects: list[Effect]) -> tuple[Definition, ...]:
    effect = activity_of(effects)

    @orchestration
    async def waiting() -> list[str]:
        await asyncio.sleep(moment)
        first = await effect("a")
        try:
            async with asyncio.timeout(moment):
                await go()
        except TimeoutError:
            return [first, "nobody came"]
        return []

    return waiting, effect


def events(_: float, effects: list[Effect]) -> tuple[Definition, ...]:
    effect = activity_of(effects)

    @orchestration
    async def summing() -> int:
        values = [await go(), await effect(10), await go()]
        return sum(values)

    return summing, effect


def children(_: float, effects: list[Effect]) -> tuple[Definition, ...]:
    effect = activity_of(effects)

    @orchestration
    async def child(value: str) -> str:
        answer: str = await effect(value)
        return answer

    @orchestration
    async def family() -> list[str]:
        told = list(await asyncio.gather(child("a"), child.options(id="named")("b")))
        try:
            await child.options(id="named")("c")
        except SubOrchestrationError as error:
            told.append(error.failure.type)
        return told

    return family, child, effect


def failures(moment: float, effects: list[Effect]) -> tuple[Definition, ...]:
    @activity(retry=Retry(attempts=FAILS_UNTIL, first_delay=moment / 2))
    async def flaky() -> None:
        _write(effects)
        if activity_info().attempt < FAILS_UNTIL:
            raise ConnectionError

    @orchestration
    async def failing() -> None:
        await flaky()
        raise ValueError("in the end")

    return failing, flaky


STORIES = {
    "start": Story(chain, ["a", "b"], of_client=True),
    "activity": Story(chain, ["a", "b"]),
    "timer": Story(timers, ["a", "nobody came"]),
    "event": Story(events, 13, events=(1, 2)),
    "sub-orchestration": Story(children, ["a", "b", "perdure.AlreadyExists"]),
    "failure": Story(failures, "in the end", fails=True),
}
