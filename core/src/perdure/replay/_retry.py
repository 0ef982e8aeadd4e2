"""Retry policies as numbers: may it be tried again, and when. Pure; the loop does the waiting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from perdure.errors import Failure, Misuse

if TYPE_CHECKING:
    from perdure.events import RetryRules

__all__ = ["Handler", "delay_before_next", "is_allowed", "retry_delay"]

Handler = Callable[[Failure], bool | float]
"""A user's own say: False gives up, True waits as the rules say, a number waits that many seconds."""


def retry_delay(
    rules: RetryRules,
    handler: Handler | None,
    failure: Failure,
    *,
    attempt: int,
    since_asked: float,
    fraction: Callable[[], float],
) -> float | None:
    """Decide whether a failed attempt is followed by another one.

    Args:
        rules: As recorded when the work was first asked for.
        handler: Asked last, and only if the rules allow another attempt.
        failure: What the attempt ended with.
        attempt: Which attempt failed, from 1.
        since_asked: Seconds on the orchestration clock since the first attempt was asked for.
        fraction: Draws from 0 to 1 for the jitter.

    Returns:
        Seconds to wait, 0 for at once; None for no further attempt.

    Raises:
        Misuse: The handler answered with something else than a bool or a number of seconds.
    """
    if not is_allowed(rules, failure, attempt=attempt):
        return None
    delay = delay_before_next(rules, attempt=attempt, fraction=fraction() if rules.jitter else 0.0)
    if handler is not None:
        answer = _checked(handler(failure))
        if answer is False:
            return None
        if answer is not True:
            delay = answer
    # The clock of the orchestration, never the wall clock: a replay a year later must decide the same.
    if rules.deadline and since_asked + delay > rules.deadline:
        return None
    return delay


def is_allowed(rules: RetryRules, failure: Failure, *, attempt: int) -> bool:
    """Tell whether the rules, clocks aside, allow an attempt after this one."""
    if not failure.retryable or (rules.attempts and attempt >= rules.attempts):
        return False
    if _is_named(failure.type, rules.never_on):
        return False
    return not rules.retry_on or _is_named(failure.type, rules.retry_on)


def delay_before_next(rules: RetryRules, *, attempt: int, fraction: float) -> float:
    """Seconds after the failure of `attempt`: grows by `backoff` up to `max_delay`; `jitter` of it is drawn."""
    try:
        delay = min(rules.first_delay * rules.backoff ** (attempt - 1), rules.max_delay)
    except OverflowError:  # backoff ** thousands of attempts; long past any maximum
        delay = rules.max_delay
    return delay * (1.0 - rules.jitter + rules.jitter * fraction)


def _is_named(type_name: str, names: tuple[str, ...]) -> bool:
    """Match the whole qualified name, or the bare name of the class."""
    return bool(names) and (type_name in names or type_name.rpartition(".")[2] in names)


def _checked(answer: object) -> bool | float:
    if isinstance(answer, bool):
        return answer
    if isinstance(answer, int | float) and math.isfinite(answer) and answer >= 0:
        return float(answer)
    raise Misuse(
        f"A retry handler answered {answer!r:.80}. Return True to try again, False to give up, or the seconds to "
        "wait before the next attempt, as a finite number of 0 or more."
    )
