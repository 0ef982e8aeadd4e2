"""Requests and replies, as `$cbs` and `$management` exchange them: messages with an operation and a body."""

from __future__ import annotations

from typing import NamedTuple, TypeVar, cast

from perdure_servicebus_emulator import _codec as codec
from perdure_servicebus_emulator._codec import NULL, DecodeError
from perdure_servicebus_emulator._errors import Condition, Refused

__all__ = ["Arguments", "Reply", "Request", "read", "write"]

_PROPERTIES, _TEXTS, _VALUE = 0x73, 0x74, 0x77  # Sections, by their descriptors.

T = TypeVar("T")


class Arguments:
    """The map in a request's body, whose values are a client's: each is asked for by its type."""

    def __init__(self, body: object) -> None:
        self._values = cast("dict[object, object]", body) if isinstance(body, dict) else {}

    def get(self, name: str, kind: type[T]) -> T:
        """Return a value.

        Raises:
            Refused: There is none, or it is of another type.
        """
        value = self._values.get(name)
        if not isinstance(value, kind):
            raise Refused(Condition.ARGUMENT, f"{name!r} of the request must be {kind.__name__}, not {value!r}.")
        return value

    def find(self, name: str, kind: type[T]) -> T | None:
        """Return a value, or None where there is none."""
        return None if self._values.get(name) is None else self.get(name, kind)

    def all(self, name: str, kind: type[T]) -> list[T]:
        """Return the items of a list or an array, all of one type."""
        items = cast("list[object]", self.get(name, list))
        found = [item for item in items if isinstance(item, kind)]
        if len(found) < len(items):
            raise Refused(Condition.ARGUMENT, f"{name!r} of the request must hold {kind.__name__} only, not {items!r}.")
        return found

    def find_map(self, name: str) -> dict[object, object]:
        """Return a copy of a map; where there is none it is empty."""
        return dict(cast("dict[object, object]", self.find(name, dict) or {}))

    def count(self, name: str) -> int:
        """Return a number that is not negative and fits into 31 bits."""
        value = self.get(name, int)
        if not 0 <= value < 2**31:
            raise Refused(Condition.ARGUMENT, f"{name!r} of the request must be 0 to 2**31 - 1, not {value}.")
        return value


class Request(NamedTuple):
    """What a client asks. `message_id` is encoded as it came: a reply repeats it, type and all."""

    message_id: bytes
    operation: str
    arguments: Arguments


class Reply(NamedTuple):
    """What it is told: application properties and a map, both of encoded pairs."""

    properties: dict[bytes, bytes]
    body: dict[bytes, bytes] | None = None


def read(raw: bytes) -> Request:
    """Read a message that is a request; what it lacks is empty.

    Raises:
        DecodeError: It is no message.
    """
    message_id, operation, body, at = NULL, "", object(), 0
    while at < len(raw):
        value, end = codec.decode(raw, at)
        if not isinstance(value, codec.Described):
            raise DecodeError(f"No section of a request begins at byte {at} of {len(raw)}.")
        content = value.value
        if value.descriptor == _PROPERTIES and content:
            first, _ = codec.list_bounds(raw, codec.skip(raw, at + 1))
            message_id = raw[first : codec.skip(raw, first)]
        elif value.descriptor == _TEXTS and isinstance(content, dict):
            operation = str(cast("dict[object, object]", content).get("operation", ""))
        elif value.descriptor == _VALUE:
            body = content
        at = end
    return Request(message_id, operation, Arguments(body))


def write(request: Request, reply: Reply) -> bytes:
    """Write the message that answers a request."""
    body = NULL if reply.body is None else codec.map_(reply.body)
    correlation = [NULL] * 5 + [request.message_id]
    return b"".join((
        codec.described(_PROPERTIES, codec.list_(correlation)),
        codec.described(_TEXTS, codec.map_(reply.properties)),
        codec.described(_VALUE, body),
    ))  # fmt: skip
