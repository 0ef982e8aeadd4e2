"""What one setting may be: a rule reads it from text, checks it, and says what is allowed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

from perdure.config._location import parse_named
from perdure.errors import Misuse
from perdure.ids import check_name

__all__ = ["Choice", "Names", "Rule", "Seconds", "Url", "WholeNumber"]


class Rule(ABC):
    """One kind of value."""

    type_name: str
    """For people: the type, as documentation shows it."""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """For people: what the value may be, as a noun phrase."""

    @abstractmethod
    def from_text(self, text: str) -> object:
        """Read the value of an environment variable; text that cannot be read comes back as it is, for `check`."""

    @abstractmethod
    def check(self, value: object, where: str) -> object:
        """Give the value in its proper type.

        Raises:
            Misuse: It is not allowed; the message begins with `where` and says what is.
        """

    def refuse(self, value: object, where: str) -> Misuse:
        """Explain a value that is not allowed."""
        return Misuse(f"{where} is {value!r:.80}: give {self.allowed}.")


@dataclass(frozen=True, slots=True)
class WholeNumber(Rule):
    """An integer of a range, both ends allowed."""

    low: int
    high: int
    type_name = "whole number"

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low:,} to {self.high:,}"

    def from_text(self, text: str) -> object:
        try:
            return int(text)
        except ValueError:
            return text

    def check(self, value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True, slots=True)
class Seconds(Rule):
    """A duration of a range, both ends allowed."""

    low: float
    high: float
    type_name = "seconds"

    @property
    def allowed(self) -> str:
        return f"seconds from {self.low:,g} to {self.high:,g}"

    def from_text(self, text: str) -> object:
        try:
            return float(text)
        except ValueError:
            return text

    def check(self, value: object, where: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise self.refuse(value, where)
        return float(value)


@dataclass(frozen=True, slots=True)
class Names(Rule):
    """Names of queues; in an environment variable, separated by commas."""

    type_name = "names"

    @property
    def allowed(self) -> str:
        return 'a list of different queue names, for example ["default", "mail"]'

    def from_text(self, text: str) -> object:
        return tuple(name for part in text.split(",") if (name := part.strip()))

    def check(self, value: object, where: str) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise self.refuse(value, where)
        names = cast("list[object] | tuple[object, ...]", value)
        if len({repr(name) for name in names}) < len(names):
            raise self.refuse(names, where)
        try:
            return tuple(check_name(name, what="queue") for name in names)
        except Misuse as problem:
            raise Misuse(f"{where}: {problem}") from problem


@dataclass(frozen=True, slots=True)
class Choice(Rule):
    """One of a few words."""

    words: tuple[str, ...]
    type_name = "word"

    @property
    def allowed(self) -> str:
        return " or ".join(f'"{word}"' for word in self.words)

    def from_text(self, text: str) -> object:
        return text

    def check(self, value: object, where: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True, slots=True)
class Url(Rule):
    """Where a hub is."""

    optional: bool = False
    type_name = "URL"

    @property
    def allowed(self) -> str:
        return "a URL, scheme:path?option=value"

    def from_text(self, text: str) -> object:
        return text

    def check(self, value: object, where: str) -> str | None:
        if value is None and self.optional:
            return None
        return parse_named(value, what=where).url
