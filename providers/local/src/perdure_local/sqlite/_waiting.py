"""Who waits for what in this process."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

__all__ = ["Waiting"]

Name = TypeVar("Name", bound=str)


class Waiting(Generic[Name]):
    """One event per waiter, by the name of what it waits for."""

    def __init__(self) -> None:
        self._events: dict[Name, set[asyncio.Event]] = {}

    @contextmanager
    def change_of(self, name: Name) -> Generator[asyncio.Event, None, None]:
        """Give an event that is set at the next change, and forget it afterwards, also when the waiter is cancelled."""
        event = asyncio.Event()
        self._events.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._events[name].discard(event)
            if not self._events[name]:
                del self._events[name]

    def __contains__(self, name: Name) -> bool:
        """Tell whether somebody waits for it."""
        return name in self._events

    @property
    def names(self) -> list[Name]:
        """What is waited for."""
        return list(self._events)

    def wake(self, names: Iterable[Name]) -> None:
        """Wake everybody who waits for one of these: each looks again for itself."""
        if self._events:
            for name in names:
                for event in self._events.get(name, ()):
                    event.set()
