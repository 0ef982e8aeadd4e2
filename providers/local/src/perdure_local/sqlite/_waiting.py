"""Who waits for what in this process."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from perdure.spi import Key, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

__all__ = ["KeyWaiting", "Waiting"]

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


class KeyWaiting(Waiting[Key]):
    """Who waits for which histories, and what they have seen of them.

    Args:
        listen: Makes sure that this process is woken by the others.
    """

    def __init__(self, listen: Callable[[], None]) -> None:
        super().__init__()
        self._listen = listen
        self._seen: dict[Key, Token | None] = {}

    @contextmanager
    def of(self, key: Key, seen: Token | None) -> Generator[asyncio.Event, None, None]:
        """Give an event that is set when a history is not what was seen any more, in any process."""
        self._listen()
        self._seen[key] = seen
        try:
            with self.change_of(key) as event:
                yield event
        finally:
            if key not in self:
                del self._seen[key]

    def see(self, key: Key, token: Token | None) -> None:
        """Note what was seen by now: a poke from another process wakes for what is newer."""
        self._seen[key] = token

    def wake_all(self) -> None:
        """Wake everybody."""
        self.wake(self.names)

    def wake_where_new(self, tokens: Mapping[Key, Token | None]) -> None:
        """Wake those who have not seen what is there now."""
        self.wake([key for key in self.names if tokens[key] != self._seen[key]])
