"""When a failed call is tried again."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perdure.authoring._raises import type_name_of
from perdure.errors import Failure, Misuse
from perdure.events import RetryRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, how soon and for which failures a call is tried again.

    The delay before attempt `i` + 2 is `first_delay * backoff ** i` seconds, at most `max_delay`. Delays are durable
    timers: they survive restarts. The rules are recorded when a call is first made; changing them later changes no
    call that has begun, `handler` excepted.

    Attributes:
        attempts: Most attempts, the first included; 0 means no limit.
        first_delay: Seconds before the second attempt, 0 or more.
        backoff: Factor from one delay to the next, 1 or more.
        max_delay: Longest delay in seconds, 0 or more.
        jitter: Part of each delay that is drawn by lot, 0 to 1: of 10 s and 0.1, between 9 and 10 s remain.
        deadline: Seconds after the first attempt was asked for, beyond which none begins; None means never.
        retry_on: Exception classes, their subclasses included, or their names (`module.Class`), that are tried
            again; empty means all.
        never_on: The same for those that are not tried again; stronger than `retry_on`.
        handler: Asked after each failure that the rules above would try again: False to give up, True to go on, or
            the seconds to wait instead. It runs in the orchestration: it must be deterministic.
    """

    attempts: int = 3
    first_delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 3600.0
    jitter: float = 0.0
    deadline: float | None = None
    retry_on: tuple[type[Exception] | str, ...] = ()
    never_on: tuple[type[Exception] | str, ...] = ()
    handler: Callable[[Failure], bool | float] | None = None

    def __post_init__(self) -> None:
        _check_attempts(self.attempts)
        _check_number("first_delay", self.first_delay, least=0)
        _check_number("backoff", self.backoff, least=1)
        _check_number("max_delay", self.max_delay, least=0)
        _check_number("jitter", self.jitter, least=0, most=1)
        if self.deadline is not None:
            _check_deadline(self.deadline)
        for option in ("retry_on", "never_on"):
            _check_kinds(option, getattr(self, option))
        if self.handler is not None and not callable(self.handler):
            raise Misuse(f"Retry(handler={self.handler!r}): give a function of a Failure, or None.")

    def rules(self) -> RetryRules:
        """Give the part that is recorded."""
        return RetryRules(
            attempts=1 if Exception in self.never_on else self.attempts,
            first_delay=float(self.first_delay),
            backoff=float(self.backoff),
            max_delay=float(self.max_delay),
            jitter=float(self.jitter),
            deadline=float(self.deadline or 0.0),
            # Exception stands for all; its thousand subclasses need not be named.
            retry_on=() if Exception in self.retry_on else _names(self.retry_on),
            never_on=() if Exception in self.never_on else _names(self.never_on),
        )


def _check_attempts(value: Any) -> None:
    if type(value) is not int or value < 0:
        raise Misuse(f"Retry(attempts={value!r}): give a whole number, 1 or more, or 0 for no limit.")


def _check_number(option: str, value: Any, *, least: float, most: float = math.inf) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or not math.isfinite(value):
        bounds = f"from {least} to {most}" if math.isfinite(most) else f"{least} or more, and finite"
        raise Misuse(f"Retry({option}={value!r}): give a number, {bounds}.")


def _check_deadline(value: Any) -> None:
    _check_number("deadline", value, least=0)
    if value == 0:
        raise Misuse(f"Retry(deadline={value!r}): give seconds, more than 0, or None for no deadline.")


def _check_kinds(option: str, kinds: tuple[Any, ...] | list[Any] | type | str) -> None:
    if not isinstance(kinds, tuple):
        raise Misuse(f"Retry({option}={kinds!r}): give a tuple of exception classes, for example (TimeoutError,).")
    for kind in kinds:
        if not isinstance(kind, str) and not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise Misuse(f"Retry({option}=…): {kind!r} is no exception class and no name of one.")


@functools.lru_cache(maxsize=1024)
def _names(kinds: tuple[type[Exception] | str, ...]) -> tuple[str, ...]:
    # Records compare names. A subclass must count as its class does, so the names of those that are loaded go along.
    names = {name for kind in kinds for name in ([kind] if isinstance(kind, str) else _family(kind))}
    return tuple(sorted(names))


def _family(kind: type[Exception]) -> Iterator[str]:
    yield type_name_of(kind)
    for subclass in kind.__subclasses__():
        yield from _family(subclass)
