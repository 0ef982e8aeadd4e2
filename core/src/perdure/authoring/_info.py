"""Where code runs: which instance, which execution, which attempt."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING

from perdure.errors import Misuse, NotInOrchestration
from perdure.replay import current_loop

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from datetime import datetime

__all__ = ["ActivityInfo", "Current", "activity_info", "activity_outside", "current"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActivityInfo:
    """What an activity may know about the attempt that runs it.

    Attributes:
        name: Of the activity.
        instance_id: Of the orchestration that called it; empty outside Perdure.
        execution: Of that instance.
        attempt: 1 for the first.
        deadline: When this attempt is given up, in UTC; None if it has no timeout.
        idempotency_key: The same for every attempt of one call and for no other call: hand it to services that
            can recognise a repeated request.
    """

    name: str
    idempotency_key: str
    instance_id: str = ""
    execution: int = 0
    attempt: int = 1
    deadline: datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The running orchestration, or the one that the running activity works for.

    Attributes:
        name: Of the orchestration, or of the activity.
        instance_id: Id of the instance.
        execution: 0, and one more with each continue-as-new.
        attempt: Of the activity; 1 in an orchestration.
        is_replaying: Whether the code runs over what is recorded; decide nothing by it, or replays will differ.
        version: Of the orchestration; None in an activity.
        tags: Of the instance; empty in an activity.
    """

    name: str
    instance_id: str
    execution: int
    attempt: int = 1
    is_replaying: bool = False
    version: str | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


_activity_info_var: ContextVar[ActivityInfo | None] = ContextVar("perdure_activity_info", default=None)
"""Set by whoever runs an activity, in the context of that run."""


def activity_info() -> ActivityInfo:
    """Tell the running activity its attempt, its deadline and its idempotency key.

    Outside a worker, in an activity that is awaited directly, it is a first attempt with a key of its own.

    Raises:
        Misuse: No activity runs here; pass what you need as an argument.
    """
    info = _activity_info_var.get()
    if info is None:
        raise Misuse(
            "activity_info() is called where no activity runs. Call it in the activity itself, and hand it to the "
            "threads and functions that need it; an orchestration uses current()."
        )
    return info


def current() -> Current:
    """Tell the running orchestration or activity where it runs.

    Raises:
        NotInOrchestration: Neither runs here.
    """
    loop = current_loop()
    if loop is not None:
        info = loop.info
        return Current(
            name=info.name,
            instance_id=info.instance_id,
            execution=info.execution,
            is_replaying=loop.is_replaying,
            version=info.version,
            tags=info.tags,
        )
    task = _activity_info_var.get()
    if task is None:
        raise NotInOrchestration(
            "current() is called where no orchestration and no activity runs. Call it in one, or pass what you need "
            "as an argument."
        )
    return Current(name=task.name, instance_id=task.instance_id, execution=task.execution, attempt=task.attempt)


@contextlib.contextmanager
def activity_outside(name: str) -> Generator[None]:
    """Let an activity that is awaited without Perdure, as in a unit test, find an `activity_info()`."""
    token = _activity_info_var.set(ActivityInfo(name=name, idempotency_key=str(uuid.uuid4())))
    try:
        yield
    finally:
        # An abandoned coroutine is closed in another context, which never saw the value: there is nothing to undo.
        with contextlib.suppress(ValueError):
            _activity_info_var.reset(token)
