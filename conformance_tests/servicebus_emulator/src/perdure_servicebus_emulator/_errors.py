"""How the service says no: conditions, as they stand on the wire, and the status codes that go with them."""

from __future__ import annotations

from perdure_servicebus_emulator._performatives import AmqpError

__all__ = ["Condition", "Refused", "status_of"]


class Condition:
    """The words that clients decide by. Which of them the SDK repeats an operation for is its own table."""

    ARGUMENT = "com.microsoft:argument-error"
    BUSY = "com.microsoft:server-busy"
    CLOSE_FORCED = "amqp:connection:forced"
    DECODE = "amqp:decode-error"
    DETACH_FORCED = "amqp:link:detach-forced"
    FRAMING = "amqp:connection:framing-error"
    HANDLE_IN_USE = "amqp:session:handle-in-use"
    ILLEGAL_STATE = "amqp:illegal-state"
    INVALID_FIELD = "amqp:invalid-field"
    LOCK_LOST = "com.microsoft:message-lock-lost"
    MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
    MESSAGE_SIZE = "amqp:link:message-size-exceeded"
    NOT_ALLOWED = "amqp:not-allowed"
    NOT_FOUND = "amqp:not-found"
    NOT_IMPLEMENTED = "amqp:not-implemented"
    QUOTA = "amqp:resource-limit-exceeded"
    SESSION_LOCKED = "com.microsoft:session-cannot-be-locked"
    SESSION_LOST = "com.microsoft:session-lock-lost"
    TIMEOUT = "com.microsoft:timeout"
    UNATTACHED = "amqp:session:unattached-handle"
    UNAUTHORIZED = "amqp:unauthorized-access"


_STATUS = {
    Condition.ARGUMENT: 400,
    Condition.BUSY: 503,
    Condition.DECODE: 400,
    Condition.LOCK_LOST: 410,
    Condition.MESSAGE_NOT_FOUND: 404,
    Condition.MESSAGE_SIZE: 403,
    Condition.NOT_ALLOWED: 400,
    Condition.NOT_FOUND: 404,
    Condition.NOT_IMPLEMENTED: 501,
    Condition.QUOTA: 403,
    Condition.SESSION_LOCKED: 410,
    Condition.SESSION_LOST: 410,
    Condition.TIMEOUT: 408,
    Condition.UNAUTHORIZED: 401,
}


class Refused(Exception):
    """The broker says no. Do: tell the client, by an outcome, a status or the end of its link."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description

    @property
    def error(self) -> AmqpError:
        """The same for a frame."""
        return AmqpError(self.condition, self.description, {})


def status_of(condition: str) -> int:
    """Return the status code of an answer of `$management` that goes with a condition."""
    return _STATUS.get(condition, 500)
