"""What the clients of one `memory:` hub share, and how they find it by its name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perdure.memory._histories import Histories
from perdure.memory._messages import Messages
from perdure.spi import Misuse

if TYPE_CHECKING:
    from perdure.spi import Clock, Location

__all__ = ["Connection", "Hub"]


class Hub:
    """Everything that one `memory:` hub holds. Its time is the clock of whoever opened it first."""

    def __init__(self, clock: Clock) -> None:
        self.histories = Histories(clock)
        self.messages = Messages(clock)


@dataclass(slots=True)
class _Named:
    hub: Hub
    loop: asyncio.AbstractEventLoop
    connections: set[Connection] = field(default_factory=set["Connection"])


_named: dict[str, _Named] = {}


class Connection:
    """One client's hold on a hub: shared where the URL has a name, its own otherwise.

    Args:
        location: `memory:` or `memory:NAME`.
        clock: The client's clock.

    Raises:
        Misuse: The URL has options; there are none.
    """

    def __init__(self, location: Location, clock: Clock) -> None:
        if location.options:
            raise Misuse(f"{location.url}: memory: has no options, remove {', '.join(sorted(location.options))}.")
        self._location = location
        self._clock = clock
        self._hub: Hub | None = None

    @property
    def hub(self) -> Hub:
        """Give the hub.

        Raises:
            Misuse: It is not open: await `open()` first.
        """
        if self._hub is None:
            raise Misuse(
                f"{self._location.url} is not open: await open() before anything else, and nothing after aclose()."
            )
        return self._hub

    def open(self) -> None:
        """Join the hub of that name, or make it.

        Raises:
            Misuse: It is in use on another running event loop, which it cannot be shared with.
        """
        name = self._location.path
        if not name:
            self._hub = Hub(self._clock)
            return
        loop = asyncio.get_running_loop()
        named = _named.setdefault(name, _Named(Hub(self._clock), loop))
        if named.loop is not loop and named.loop.is_running():
            raise Misuse(f"{self._location.url} is open on another event loop: memory: is shared within one loop only.")
        named.loop = loop
        named.connections.add(self)
        self._hub = named.hub

    def close(self) -> None:
        """Leave the hub. The last one takes it along. Twice is allowed."""
        self._hub = None
        named = _named.get(self._location.path)
        if named is not None:
            named.connections.discard(self)
            if not named.connections:
                del _named[self._location.path]
