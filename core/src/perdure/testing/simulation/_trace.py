"""What happened, line by line, and one hash over all of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from perdure import codec
from perdure.spi import Append, Committed, Conflict, Delivery, Done, Envelope, Head, SendOutcome, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perdure.records import TurnRecord

__all__ = ["Trace", "describe"]


class Trace:
    """The lines of one run.

    Attributes:
        lines: Calls to the hub, faults, and what processes did; steps of tasks only count in the hash.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._hash = hashlib.sha256()

    def count(self, line: str) -> None:
        """Put a line into the hash alone."""
        self._hash.update(line.encode("utf-8", "backslashreplace") + b"\n")

    def note(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)
        self.count(line)

    def digest(self) -> str:
        """Give the hash over all lines so far, in hex."""
        return self._hash.hexdigest()


def describe(value: object) -> str:  # noqa: C901, PLR0911 - one line per kind
    """Say what goes to a hub, or comes from it, the same in every process."""
    match value:
        case Step():
            return _step(value)
        case Append():
            return _append(value)
        case Done():
            taken = "" if all(value.created) else f", created {value.created}"
            lost = "" if all(value.completed) else f", completed {value.completed}"
            return f"done v{value.version}{taken}{lost}"
        case Committed(version=version):
            return f"committed v{version}"
        case Conflict(version=version):
            return f"conflict, it is at v{version}"
        case Head(version=version, summary=summary):
            return f"v{version} {summary.status}"
        case Delivery(envelope=envelope, delivery_count=count):
            return f"{_envelope(envelope)}{f' again ({count})' if count > 1 else ''}"
        case Envelope():
            return _envelope(value)
        case SendOutcome(error=error):
            return "sent" if error is None else f"not sent: {error}"
        case list():
            return f"[{', '.join(describe(each) for each in value)}]"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case bytes():
            return f"{len(value)} bytes {_short_hash(value)}"
        case _:
            return type(value).__name__ if isinstance(value, msgspec.Struct) else str(value)


def _step(step: Step) -> str:
    parts: list[str] = [] if step.append is None else [_append(step.append)]
    parts += [f"create {_append(create.append)}" for create in step.create]
    parts += _named("send", step.send)
    parts += _named("complete", [delivery.envelope for delivery in step.complete])
    return "; ".join(parts)


def _named(verb: str, envelopes: Iterable[Envelope]) -> list[str]:
    named = [_envelope(envelope) for envelope in envelopes]
    return [f"{verb} {', '.join(named)}"] if named else []


def _envelope(envelope: Envelope) -> str:
    message = codec.decode_message(envelope.body, where=envelope.message_id)
    return f"{type(message).__name__} {envelope.group}:{envelope.message_id[-12:]}"


def _append(append: Append) -> str:
    record = codec.decode_record(append.record, where=append.key)
    events = [type(event).__name__ for event in (*record.inputs, *record.decisions)]
    return f"{append.key} v{append.version - append.expected:+d} [{' '.join(events)}] {_short_hash(_encoded(record))}"


def _encoded(record: TurnRecord) -> bytes:
    """Write a record without the name of its worker, which holds that of the machine and the process."""
    turn = None if record.turn is None else msgspec.structs.replace(record.turn, worker="")
    return msgspec.msgpack.encode(msgspec.structs.replace(record, turn=turn))


def _short_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]
