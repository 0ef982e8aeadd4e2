"""Who waits for what to change."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Waiting"]


class Waiting:
    """One event per waiter, by the name of what it waits for."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def change_of(self, name: str) -> Generator[asyncio.Event]:
        """Give an event that is set at the next change, and forget it afterwards, also when the waiter is cancelled."""
        event = asyncio.Event()
        events = self._events.setdefault(name, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events and self._events.get(name) is events:
                del self._events[name]

    def wake(self, name: str) -> None:
        """Wake everybody who waits for `name`: each looks again for itself."""
        for event in self._events.get(name, ()):
            event.set()
