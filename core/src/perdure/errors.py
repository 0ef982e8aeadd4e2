"""What can go wrong, sorted by what the caller does next.

    PerdureError
    ├── Unavailable             no answer, nothing happened: wait, then make the same call again
    ├── Unknown                 it may have happened: read, then commit the same thing again
    ├── LeaseLost               somebody else may hold the work: stop
    ├── Corrupt                 stored bytes are damaged: stop, tell a person, overwrite nothing
    ├── TooNew                  written by a newer release: leave it to a newer worker
    ├── NotDeterministic        orchestration code left its record: fix the code
    ├── Misuse                  the call is wrong: fix the call
    │   └── NotInOrchestration  the call makes sense only inside an orchestration
    ├── AlreadyExists           the instance id is taken
    ├── NotFound                no such instance
    ├── Closed                  the instance has ended
    ├── ActivityError           an activity failed for good; `.failure` tells how
    └── OrchestrationError      an orchestration failed; `.failure` tells how
        └── SubOrchestrationError   the same, awaited by its parent

    NonRetryable                raised *by* activity code: record the failure, do not try again

The message is for people and may change; the class and its attributes are API.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "ActivityError",
    "AlreadyExists",
    "Closed",
    "Corrupt",
    "Failure",
    "LeaseLost",
    "Misuse",
    "NonRetryable",
    "NotDeterministic",
    "NotFound",
    "NotInOrchestration",
    "OrchestrationError",
    "PerdureError",
    "SubOrchestrationError",
    "TooNew",
    "Unavailable",
    "Unknown",
]


class Failure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How something failed, as it is recorded and as it travels between processes.

    Attributes:
        type: Qualified name of the exception class, `module.QualName` (builtins without module).
        message: `str()` of the exception, at most 4,096 characters.
        traceback: Formatted traceback of where it was raised, at most 16,384 characters.
        cause: The failure that this one was raised `from`.
        context: The failure that was being handled, unless there is a cause or it was suppressed.
        members: Of an exception group: its members, at most 64.
        notes: What `add_note` added.
        retryable: False if no retry policy may try it again (`NonRetryable`, unknown name, bad payload).
    """

    type: str
    message: str
    traceback: str = ""
    cause: Failure | None = None
    context: Failure | None = None
    members: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    retryable: bool = True

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class PerdureError(Exception):
    """Everything that Perdure raises on purpose."""


class Unavailable(PerdureError):
    """No answer, and nothing happened. Do: wait, then make the same call again."""


class Unknown(PerdureError):
    """The change may have happened. Do: read, and if it is not there, commit the same Step again."""


class LeaseLost(PerdureError):
    """The lease of a message ended. Do: stop the work; another worker may have it."""


class Corrupt(PerdureError):
    """Stored bytes are damaged. Do: stop, tell a person; nothing was and nothing may be overwritten."""


class TooNew(PerdureError):
    """Written by a newer release of Perdure. Do: leave it to a worker of that release; nothing was changed."""


class NotDeterministic(PerdureError):
    """Orchestration code did what its record does not say, or what cannot be recorded. Do: fix the code."""


class Misuse(PerdureError):
    """The call is wrong. Do: fix the call; the message names the value and the mend. Nothing was changed."""


class NotInOrchestration(Misuse):
    """The call makes sense only inside an orchestration. Do: move it there."""


class AlreadyExists(PerdureError):
    """The instance id is taken. Do: choose another id, or use the instance that exists.

    Attributes:
        instance_id: The id.
        status: Status of the instance that has it, for example `Running`; empty if it is not known.
    """

    def __init__(self, message: str, *, instance_id: str = "", status: str = "") -> None:
        super().__init__(message)
        self.instance_id = instance_id
        self.status = status


class NotFound(PerdureError):
    """No such instance. Do: check the id and the hub.

    Attributes:
        instance_id: The id that was asked for.
    """

    def __init__(self, message: str, *, instance_id: str = "") -> None:
        super().__init__(message)
        self.instance_id = instance_id


class Closed(PerdureError):
    """The instance has ended and takes no more input. Do: nothing, or start another one.

    Attributes:
        instance_id: The id.
        status: How it ended: `Completed`, `Failed`, `Canceled` or `Terminated`.
    """

    def __init__(self, message: str, *, instance_id: str = "", status: str = "") -> None:
        super().__init__(message)
        self.instance_id = instance_id
        self.status = status


class _Failed(PerdureError):
    """What the kinds that carry a `Failure` share."""

    def __init__(self, message: str, *, failure: Failure, name: str = "", instance_id: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.name = name
        self.instance_id = instance_id


class ActivityError(_Failed):
    """An activity failed for good: retries are used up or were not allowed. Do: handle it, as any exception.

    Attributes:
        failure: What was raised in the activity, with its causes.
        name: Name of the activity.
        instance_id: Always empty; activities have no instance of their own.
    """


class OrchestrationError(_Failed):
    """An orchestration failed, was canceled or was terminated. Do: look at `failure`; start another one if that helps.

    Attributes:
        failure: What its code raised, with its causes.
        name: Name of the orchestration.
        instance_id: Its instance id.
    """


class SubOrchestrationError(OrchestrationError):
    """A sub-orchestration failed. Do: handle it in the parent, as any exception."""


class NonRetryable(Exception):
    """Raised by activity code: whatever the retry policy says, do not try again."""
