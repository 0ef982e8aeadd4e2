"""What decoded values are made of, where Python has no like, and what is no value."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NULL", "DecodeError", "Described", "Symbol"]

NULL = b"\x40"


class DecodeError(ValueError):
    """These bytes are no AMQP. Do: end the connection with `amqp:decode-error`; nothing after them can be trusted."""


class Symbol(str):
    """A word of the protocol, as opposed to text of a person."""

    __slots__ = ()


class Described(NamedTuple):
    """A value with its descriptor: a frame, an outcome, a section of a message, a filter."""

    descriptor: object
    value: object
