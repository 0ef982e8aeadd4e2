"""`<queue>/$management`: what is asked of a queue in requests rather than by messages on a link.

One function for each operation: arguments in, body of the answer out; None is "nothing to tell" (status 204).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator import _message
from perdure_servicebus_emulator._errors import Condition, Refused, status_of
from perdure_servicebus_emulator._requests import Arguments, Reply
from perdure_servicebus_emulator._session_queue import SessionQueue
from perdure_servicebus_emulator._stored import Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from perdure_servicebus_emulator._faults import Faults
    from perdure_servicebus_emulator._queue import MessageQueue
    from perdure_servicebus_emulator._requests import Request

    Body = dict[bytes, bytes]

__all__ = ["answer_management"]

_OK, _NO_CONTENT = 200, 204
_VENDOR = "com.microsoft:"
_KEEPS_LOCK = 1  # Settle mode "second": peek-lock.
_NEVER_MS = 253_402_300_800_000  # The latest time of .NET: sessions are listed whenever they changed.
_OUTCOMES = {
    "abandoned": Outcome.ABANDON,
    "completed": Outcome.COMPLETE,
    "defered": Outcome.DEFER,  # The service spells it so.
    "suspended": Outcome.DEAD_LETTER,
}
_REASONS = {"DeadLetterReason": "deadletter-reason", "DeadLetterErrorDescription": "deadletter-description"}


def answer_management(request: Request, queue: MessageQueue, faults: Faults) -> Reply:
    """Carry out a request, or say why not."""
    try:
        faults.refuse_if_busy("manage")
        body = _find(request.operation)(request.arguments, queue)
    except Refused as refused:
        return _reply(status_of(refused.condition), refused.description, None, condition=refused.condition)
    return _reply(_NO_CONTENT, "No content", None) if body is None else _reply(_OK, "OK", body)


def _find(operation: str) -> Callable[[Arguments, MessageQueue], Body | None]:
    found = _OPERATIONS.get(operation.removeprefix(_VENDOR))
    if found is None:
        raise Refused(Condition.NOT_IMPLEMENTED, f"{operation!r} is no operation of this emulator.")
    return found


def _reply(status: int, description: str, body: Body | None, *, condition: str | None = None) -> Reply:
    properties = {
        codec.string("statusCode"): codec.integer(status),
        codec.string("statusDescription"): codec.string(description),
    }
    if condition is not None:
        properties[codec.string("errorCondition")] = codec.symbol(condition)
    return Reply(properties, body or {})


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _peek(asked: Arguments, queue: MessageQueue) -> Body | None:
    start, limit = asked.get("from-sequence-number", int), asked.count("message-count")
    found = queue.peek(start, limit, asked.find("session-id", str))
    if not found:
        return None
    return _messages({codec.string("message"): codec.binary(message.written())} for message in found)


def _receive_deferred(asked: Arguments, queue: MessageQueue) -> Body:
    keeps_lock = asked.get("receiver-settle-mode", int) == _KEEPS_LOCK
    taken = queue.receive_deferred(
        asked.all("sequence-numbers", int), keeps_lock=keeps_lock, session_id=asked.find("session-id", str)
    )
    return _messages(
        {
            codec.string("lock-token"): codec.uuid(UUID(bytes_le=token)),
            codec.string("message"): codec.binary(message.written(message.locked_until if keeps_lock else None)),
        }
        for message, token in taken
    )


def _messages(entries: Iterable[Body]) -> Body:
    return {codec.string("messages"): codec.list_([codec.map_(entry) for entry in entries])}


def _schedule(asked: Arguments, queue: MessageQueue) -> Body:
    entries = cast("list[object]", asked.all("messages", dict))
    sequences = queue.send([Arguments(entry).get("message", bytes) for entry in entries])
    return {codec.string("sequence-numbers"): _array([codec.long(sequence) for sequence in sequences])}


def _cancel(asked: Arguments, queue: MessageQueue) -> Body:
    queue.cancel(asked.all("sequence-numbers", int))
    return {}


# ── locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _renew(asked: Arguments, queue: MessageQueue) -> Body:
    ends = queue.renew(_tokens(asked))
    return {codec.string("expirations"): _array([codec.timestamp(end) for end in ends])}


def _settle(asked: Arguments, queue: MessageQueue) -> Body:
    status = asked.get("disposition-status", str)
    outcome = _OUTCOMES.get(status)
    if outcome is None:
        raise Refused(Condition.ARGUMENT, f"A message cannot be {status!r}, but one of {', '.join(_OUTCOMES)}.")
    texts = asked.find_map("properties-to-modify")
    if outcome is Outcome.DEAD_LETTER:
        texts |= {key: asked.find(name, str) or "" for key, name in _REASONS.items()}
    settlement = Settlement(outcome, _message.text_pairs(texts))
    for token in _tokens(asked):
        queue.settle(token, settlement)
    return {}


def _tokens(asked: Arguments) -> list[bytes]:
    return [token.bytes_le for token in asked.all("lock-tokens", UUID)]


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with_sessions(queue: MessageQueue) -> SessionQueue:
    if not isinstance(queue, SessionQueue):
        raise Refused(Condition.NOT_ALLOWED, f"Queue {queue.settings.name!r} has no sessions.")
    return queue


def _renew_session(asked: Arguments, queue: MessageQueue) -> Body:
    return {
        codec.string("expiration"): codec.timestamp(_with_sessions(queue).renew_session(asked.get("session-id", str)))
    }


def _get_state(asked: Arguments, queue: MessageQueue) -> Body:
    state = _with_sessions(queue).held_session(asked.get("session-id", str)).state
    return {codec.string("session-state"): codec.NULL if state is None else codec.binary(state)}


def _set_state(asked: Arguments, queue: MessageQueue) -> Body:
    _with_sessions(queue).set_session_state(asked.get("session-id", str), asked.find("session-state", bytes))
    return {}


def _list_sessions(asked: Arguments, queue: MessageQueue) -> Body | None:
    skip, top = asked.count("skip"), asked.count("top")
    since_ms = asked.find("last-updated-time", int)
    state_set_after = None if since_ms is None or since_ms >= _NEVER_MS else since_ms / 1000
    page = _with_sessions(queue).list_sessions(state_set_after)[skip : skip + top]
    if not page:
        return None
    names = [len(name.encode()).to_bytes(4, "big") + name.encode() for name in page]
    return {codec.string("skip"): codec.integer(skip), codec.string("sessions-ids"): codec.array(b"\xb1", names)}


def _array(values: list[bytes]) -> bytes:
    """Encode an array of values that are encoded already, all of one type whose constructor is one byte."""
    constructor = values[0][:1] if values else codec.NULL
    return codec.array(constructor, [value[1:] for value in values])


_OPERATIONS: dict[str, Callable[[Arguments, MessageQueue], Body | None]] = {
    "cancel-scheduled-message": _cancel,
    "get-message-sessions": _list_sessions,
    "get-session-state": _get_state,
    "peek-message": _peek,
    "receive-by-sequence-number": _receive_deferred,
    "renew-lock": _renew,
    "renew-session-lock": _renew_session,
    "schedule-message": _schedule,
    "set-session-state": _set_state,
    "update-disposition": _settle,
}
