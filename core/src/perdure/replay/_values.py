"""What replay is given and what it tells: programs, facts about an execution, and doomed turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from perdure.errors import Failure
    from perdure.events import Parent

__all__ = ["Info", "Program", "TurnDoomed", "TurnOverrun", "Unhandled", "Unstarted"]


@dataclass(frozen=True, slots=True)
class Program:
    """An orchestration as replay needs it.

    Attributes:
        name: Registered name.
        version: Registered version, if it has one.
        start: Decodes the input and makes the main coroutine; raises `Misuse` if the input does not fit.
        encode_result: Encodes what the coroutine returned; raises `Misuse` if it cannot be encoded. Either one closes
            the instance as failed, with a failure that is not retried.
    """

    name: str
    version: str | None
    start: Callable[[bytes], Coroutine[Any, Any, object]]
    encode_result: Callable[[object], bytes]


@dataclass(frozen=True, slots=True)
class Info:
    """What code may know about the execution it runs in. `tags` and `parent` are known from its first turn on."""

    instance_id: str
    incarnation: str
    execution: int
    name: str
    version: str | None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Unhandled:
    """An error that no code of the orchestration looked at, for example of a task that nobody awaited."""

    message: str
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Unstarted:
    """A call that was made and never awaited, so that it never ran."""

    what: str
    code_line: str

    def __str__(self) -> str:
        return f"{self.code_line}: {self.what} was never awaited, so it never ran. Await it, or remove the call."


class TurnDoomed(Exception):
    """The turn must not be committed. Do: drop the execution, record the turn as failed, let the instance stall.

    Attributes:
        reason: `not_deterministic`, `deadlock`, `overrun`, `recursion`, `memory`, `interrupted` or `input`.
        cause: The error behind it; this one itself where there is none.
    """

    def __init__(self, message: str, *, reason: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.__cause__ = self._cause = cause

    @property
    def cause(self) -> BaseException:
        return self._cause or self


class TurnOverrun(BaseException):
    """Thrown into the thread that runs a turn, by the watchdog, when the turn takes too long.

    The watchdog sets `execution.overrun_requested` first, so that the turn is doomed even if code swallows this.
    """
