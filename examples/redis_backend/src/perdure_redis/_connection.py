"""How a `redis:` URL becomes a connection, what a server must be set to, and what its errors mean."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from perdure.spi import Misuse, Unavailable
from redis import exceptions as told
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from perdure.spi import Environment, Location, PerdureError

__all__ = ["Connection"]

ANSWER_SECONDS_MAX = 10.0
SLICE_SECONDS = 5.0
"""A wait is cut into slices, each shorter than ANSWER_SECONDS_MAX: then a connection that is dead is noticed."""

NEEDED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""Without the first two, a power cut takes what was committed (H1, Q1); without the third, a full memory does."""


class Connection:
    """One client of one hub: `redis://HOST:PORT/DATABASE?hub=NAME`.

    The password is never in the URL: it is in the environment, as REDIS_PASSWORD (and REDIS_USERNAME).
    """

    def __init__(self, location: Location, environment: Environment) -> None:
        self.clock = environment.clock
        self._url, options = location.url, dict(location.options)
        self.hub = options.pop("hub", "perdure")
        self._checked = options.pop("durability", "checked") != "unchecked"
        if options:
            raise Misuse(f"{location.url}: redis: has the options hub and durability, remove {', '.join(options)}.")
        address, _, database = location.path.partition("/")
        host, _, port = address.rpartition(":")
        if not (host and port.isdigit() and (database or "0").isdigit()) or "@" in host:
            raise Misuse(f"{location.url}: write redis://HOST:PORT/DATABASE, without user and password.")
        self.redis: Any = Redis(  # Its types leave open whether answers are bytes; here they are.
            host=host,
            port=int(port),
            db=int(database or 0),
            username=os.environ.get("REDIS_USERNAME"),
            password=os.environ.get("REDIS_PASSWORD"),
            protocol=2,
            retry=Retry(NoBackoff(), 0),  # Core decides what is tried again: it knows what may have happened.
            socket_timeout=None,  # `asking` has the limit: redis' own swallows cancellations on Python 3.11.
            max_connections=10_000,  # Each call that waits holds a connection.
        )

    def name(self, *parts: str) -> str:
        """Name something of this hub; the braces keep a hub in one slot, should the server be a cluster."""
        return ":".join((f"{{{self.hub}}}", *parts))

    async def open(self) -> None:
        """Refuse a server that would forget what it has acknowledged."""
        async with self.asking():
            for setting, needed in NEEDED.items() if self._checked else ():
                found = (await self.redis.config_get(setting)).get(setting)
                if found != needed:
                    raise Misuse(
                        f"{self._url}: the server has {setting} {found}, which loses acknowledged writes. Set "
                        f"{setting} {needed}, or accept the loss with ?durability=unchecked."
                    )

    async def aclose(self) -> None:
        """Close every connection."""
        await self.redis.aclose()

    async def wait_for_entry(self, stream: str, after: str, seconds: float) -> bool:
        """Wait until a stream has an entry above the id `after`, at most `seconds`; tell whether it has."""
        until = self.clock.monotonic() + seconds
        while (patience := until - self.clock.monotonic()) > 0:
            milliseconds = max(1, int(min(patience, SLICE_SECONDS) * 1000))  # 0 would mean: for ever.
            async with self.asking():
                if await self.redis.xread({stream: after}, count=1, block=milliseconds):
                    return True
        return False

    @asynccontextmanager
    async def asking(self, no_answer: type[PerdureError] = Unavailable) -> AsyncIterator[None]:
        """Give a call its time, and say an error of redis as one of ours; `no_answer`: what having none means here."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                yield
        except (told.AuthenticationError, told.NoPermissionError) as problem:
            raise Misuse(f"{self._url}: {problem}. Set REDIS_PASSWORD, and give the user its rights.") from problem
        except (told.ConnectionError, told.TimeoutError, TimeoutError) as problem:
            raise no_answer(f"{self._url}: no answer: {problem}") from problem
        except (told.OutOfMemoryError, told.ReadOnlyError) as problem:
            raise Unavailable(f"{self._url}: {problem}") from problem
        except told.ResponseError as problem:
            if not str(problem).startswith("MISCONF"):  # The disk is full: scripts are refused before they begin.
                raise
            raise Unavailable(f"{self._url}: {problem}") from problem
