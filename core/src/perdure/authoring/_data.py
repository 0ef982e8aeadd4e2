"""User data as bytes: msgpack by msgspec, read back as what the annotations say.

A value arrives as its annotation tells, so what is not annotated arrives as plain lists, dicts, text and numbers. Two
things change on the way: an aware `datetime` arrives as the same instant in UTC, and an instance of a subclass arrives
as the annotated class. Everything is read back once before it is recorded: what would not arrive is refused where it
is given, not where it is needed.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, cast

import msgspec

from perdure.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UNREADABLE", "ValueCodec", "brief", "decode_custom", "encoder", "type_name"]

UNREADABLE = (msgspec.MsgspecError, ValueError)
"""What msgspec raises for bytes that it cannot read; ValueError, because text in them may be no UTF-8."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


class ValueCodec:
    """Writes and reads values of one type, and explains what does not fit."""

    __slots__ = ("_decoder", "_root", "_subject", "type")

    def __init__(self, type: Any, *, subject: str, root: str) -> None:
        """Prepare for one type.

        Args:
            type: Any annotation that msgspec knows, a pydantic model, or `Any`.
            subject: How messages begin, for example `The result of issue_invoice()`.
            root: What messages call the value inside a path, for example `result` in `result.amount`.

        A type that names another one that is not defined yet raises NameError: try again when it is.

        Raises:
            Misuse: The type cannot be recorded; the message says what to use.
        """
        self.type = type
        self._subject = subject
        self._root = root
        try:
            foreign = next(_foreign_classes(msgspec.inspect.type_info(type)), None)
            self._decoder = msgspec.msgpack.Decoder[Any](type, dec_hook=decode_custom)
        except TypeError as exc:
            raise Misuse(f"{subject} is annotated {type_name(type)}, which cannot be recorded: {exc}.") from exc
        if foreign is not None:
            raise Misuse(
                f"{subject} is annotated {type_name(type)}, and {type_name(foreign)} cannot be recorded. Use plain "
                "values, a dataclass, a TypedDict, an attrs or msgspec class, a pydantic model, or `Any`."
            )

    def encode(self, value: object) -> bytes:
        """Write a value, after a check that it can be read back.

        Raises:
            Misuse: It does not fit the type or cannot be written; nothing was recorded.
        """
        try:
            payload = encoder.encode(value)
        except OverflowError as exc:
            raise Misuse(
                f"{self._subject} holds an integer of more than 64 bits: {brief(value)}. Give it as `str`."
            ) from exc
        except (TypeError, ValueError) as exc:
            raise Misuse(f"{self._subject} cannot be recorded: {exc}. The value is {brief(value)}.") from exc
        try:
            self._decoder.decode(payload)
        except UNREADABLE as exc:
            raise Misuse(f"{self._explain(exc)} The value is {brief(value)}.") from exc
        return payload

    def decode(self, payload: bytes | msgspec.Raw) -> Any:
        """Read a value.

        Raises:
            Misuse: The bytes do not fit the type: other code wrote them; make the annotation accept both.
        """
        try:
            return self._decoder.decode(payload)
        except UNREADABLE as exc:
            raise Misuse(self._explain(exc)) from exc

    def convert(self, value: object) -> Any:
        """Make a value of the type from JSON's: text becomes a datetime, UUID, Decimal or bytes (base64).

        Raises:
            Misuse: It does not fit the type.
        """
        try:
            return msgspec.convert(value, self.type, str_keys=True, dec_hook=decode_custom)
        except UNREADABLE as exc:
            raise Misuse(f"{self._explain(exc)} The value is {brief(value)}.") from exc

    def _explain(self, exc: Exception) -> str:
        reason = " ".join(str(exc).replace("`$", f"`{self._root}").split())
        return f"{self._subject} does not fit {type_name(self.type)}: {reason}."


def brief(value: object) -> str:
    """Show a value inside a message: about 80 characters, whatever it is."""
    return _SHORT.repr(value)


def type_name(type_: Any) -> str:
    """Name a type as its user writes it."""
    return type_.__qualname__ if isinstance(type_, type) else str(type_).replace("typing.", "")


def _foreign_classes(info: object) -> Iterator[type]:
    """Walk everything that a type consists of; msgspec takes any class, but could not read it back."""
    seen: set[int] = set()
    waiting = [info]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(cast("tuple[object, ...]", part))
        elif isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field) and id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, msgspec.inspect.CustomType) and not _can_read(part.cls):
                yield part.cls
            waiting.extend(getattr(part, name) for name in part.__struct_fields__)


def _can_read(class_: type) -> bool:
    return class_ is object or _is_pydantic_model(class_)


def _is_pydantic_model(class_: type) -> bool:
    # By shape, because pydantic need not be installed and takes long to import.
    return hasattr(class_, "__pydantic_validator__") and hasattr(class_, "model_validate")


def _encode_custom(value: Any) -> Any:
    if _is_pydantic_model(value.__class__):
        return value.model_dump(mode="python", by_alias=True, round_trip=True)
    raise TypeError(f"it holds an object of {type(value).__qualname__}; use plain values, a dataclass or a model")


def decode_custom(class_: Any, value: Any) -> Any:
    """Read what msgspec asks us about: pydantic models, and `object`, which is anything."""
    return value if isinstance(value, class_) else class_.model_validate(value)


encoder = msgspec.msgpack.Encoder(enc_hook=_encode_custom)
