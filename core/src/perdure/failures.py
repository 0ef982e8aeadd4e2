"""Exceptions as values: taken apart where they are raised, shown to people where they are read.

Taking apart must not fail, whatever an exception does in its own `__str__`, and must end, however its causes are tied.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, cast

from perdure.errors import ActivityError, Failure, NonRetryable, OrchestrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["capture", "describe", "members_of", "type_name"]

MESSAGE_CHARACTERS_MAX = 4_096
TRACEBACK_CHARACTERS_MAX = 16_384
CHAIN_LENGTH_MAX = 16
MEMBERS_MAX = 64
NOTES_MAX = 64
FAILURES_MAX = 256
"""Failures in one tree, so that groups of groups of causes stay small enough to record."""

_OWN_MODULES = ("perdure.", "asyncio.")


def capture(error: BaseException) -> Failure:
    """Turn an exception into a `Failure`, with its causes, contexts, group members and notes.

    Args:
        error: Any exception, raised or not.

    Returns:
        A failure within the sizes that `Failure` names. A cause that was itself a recorded failure (`ActivityError`,
        `SubOrchestrationError`) is continued with that failure, so that a chain survives every hop.
    """
    return _Capture().take(error, depth=0)


class _Capture:
    """One walk through an exception and what hangs on it."""

    def __init__(self) -> None:
        self._path: set[int] = set()
        self._left = FAILURES_MAX

    def take(self, error: BaseException, *, depth: int) -> Failure:
        self._path.add(id(error))
        self._left -= 1
        cause = self._follow(error.__cause__, depth)
        if cause is None:
            cause = _recorded(error)
        context = None
        if cause is None and not error.__suppress_context__:
            context = self._follow(error.__context__, depth)
        failure = Failure(
            type=type_name(type(error)),
            message=_message(error),
            traceback=_traceback(error),
            cause=cause,
            context=context,
            members=tuple(self._members(error, depth)),
            notes=_notes(error),
            retryable=not isinstance(error, NonRetryable),
        )
        self._path.discard(id(error))
        return failure

    def _follow(self, error: BaseException | None, depth: int) -> Failure | None:
        """Take one link; None at the end, at a cycle, and where it gets too long."""
        if error is None or id(error) in self._path or depth + 1 >= CHAIN_LENGTH_MAX or self._left <= 0:
            return None
        return self.take(error, depth=depth + 1)

    def _members(self, error: BaseException, depth: int) -> Iterator[Failure]:
        for member in members_of(error)[:MEMBERS_MAX]:
            failure = self._follow(member, depth)
            if failure is not None:
                yield failure


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """Give the members of an exception group; nothing for any other error."""
    if not isinstance(error, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", error).exceptions


def type_name(kind: type) -> str:
    """Name a class as failures do: `module.QualName`, builtins without module."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _recorded(error: BaseException) -> Failure | None:
    return error.failure if isinstance(error, ActivityError | OrchestrationError) else None


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - the user's __str__; what it raised is said in its place
        text = f"(its __str__ raised {type(broken).__name__})"
    return _cut(text, MESSAGE_CHARACTERS_MAX)


def _traceback(error: BaseException) -> str:
    """Format where it was raised, without the frames of perdure and asyncio; the end is kept if it is too long."""
    frames = traceback.extract_tb(error.__traceback__)
    kept = [
        frame
        for frame, (raw, _) in zip(frames, traceback.walk_tb(error.__traceback__), strict=True)
        if not raw.f_globals.get("__name__", "").startswith(_OWN_MODULES)
    ]
    text = _printable("".join(traceback.format_list(kept or frames)))
    return text if len(text) <= TRACEBACK_CHARACTERS_MAX else "…" + text[1 - TRACEBACK_CHARACTERS_MAX :]


def _notes(error: BaseException) -> tuple[str, ...]:
    notes: Any = getattr(error, "__notes__", None)
    if not isinstance(notes, list | tuple):
        return ()
    return tuple(
        _cut(note, MESSAGE_CHARACTERS_MAX) for note in cast("list[object]", notes)[:NOTES_MAX] if isinstance(note, str)
    )


def _cut(text: str, length_max: int) -> str:
    text = _printable(text)
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def _printable(text: str) -> str:
    """Replace lone surrogates: they cannot be encoded, and a failure must always be recordable."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def describe(failure: Failure) -> str:
    """Write a failure and everything that hangs on it as text for people, in the order of a Python traceback."""
    return "\n".join(_lines(failure))


def _lines(failure: Failure) -> Iterator[str]:
    for earlier, link in (
        (failure.cause, "The above failure was the direct cause of the following one:"),
        (failure.context, "During handling of the above failure, another one occurred:"),
    ):
        if earlier is not None:
            yield from _lines(earlier)
            yield from ("", link, "")
    if failure.traceback:
        yield "Traceback (most recent call last):"
        yield failure.traceback.rstrip("\n")
    yield str(failure) if failure.retryable else f"{failure} (not retryable)"
    yield from failure.notes
    for index, member in enumerate(failure.members, start=1):
        yield f"  + member {index} of {len(failure.members)}"
        yield from (f"  | {line}" for part in _lines(member) for line in part.split("\n"))
