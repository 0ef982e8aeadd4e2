"""Errors that must never become the recorded outcome of an orchestration: another try may go better, or must."""

from __future__ import annotations

from perdure.errors import ActivityError, NotDeterministic, OrchestrationError
from perdure.failures import members_of
from perdure.replay._values import TurnOverrun

__all__ = ["fatal_reason"]

FATAL: tuple[tuple[type[BaseException], str], ...] = (
    (TurnOverrun, "overrun"),
    (NotDeterministic, "not_deterministic"),
    (RecursionError, "recursion"),
    (MemoryError, "memory"),
    (KeyboardInterrupt, "interrupted"),
    (SystemExit, "interrupted"),
)
_SHARED = ("is bound to a different event loop", "attached to a different loop")
"""What asyncio says when a lock, queue, event or future of one loop is used on another."""


def fatal_reason(error: BaseException) -> tuple[str, BaseException] | None:
    """Find what dooms the turn in an error, its causes and contexts and the members of groups.

    Returns:
        The reason as in `TurnDoomed`, and the error that is the reason; None if the error may be recorded.
    """
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each.__cause__, ActivityError | OrchestrationError):
            continue  # made again from a recorded failure: its type says what happened elsewhere, long ago
        reason = _reason(each)
        if reason is not None:
            return reason, each
        todo.append(each.__cause__)
        todo.append(None if each.__suppress_context__ else each.__context__)
        todo.extend(members_of(each))
    return None


def _reason(error: BaseException) -> str | None:
    for kind, reason in FATAL:
        if isinstance(error, kind):
            return reason
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _SHARED):
        return "not_deterministic"
    return None
