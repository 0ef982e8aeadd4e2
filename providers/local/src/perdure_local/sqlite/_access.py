"""What a store and a queue have in common: where their database is, and whether it is open."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from perdure.spi import Misuse
from perdure_local.sqlite._database import Database
from perdure_local.sqlite._messages import Moment

if TYPE_CHECKING:
    from perdure.spi import Environment, Location

__all__ = ["Access"]

_OPTIONS: tuple[str, ...] = ()


class Access:
    """The way of one store or queue to its database."""

    def __init__(self, location: Location, environment: Environment) -> None:
        for option in location.options:
            nearest = get_close_matches(option, _OPTIONS, 1)
            mend = f"did you mean {nearest[0]!r}?" if nearest else "remove it, sqlite: takes none."
            raise Misuse(f"{location.url}: there is no option {option!r}: {mend}")
        self._location = location
        self._environment = environment
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        """Give the database; raise Misuse if it is not open."""
        if self._database is None:
            raise Misuse(f"{self._location.url} is not open: call open() first.")
        return self._database

    async def open(self) -> None:
        """Open the database, once."""
        if self._database is None:
            self._database = await Database.open(self._location.path, self._environment.entropy)

    async def close(self) -> None:
        """Let go of the database; twice is allowed."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    def is_shared_with(self, other: Access) -> bool:
        """Tell whether both are open on one database."""
        return self._database is not None and self._database is other._database

    def moment(self) -> Moment:
        """Look at both clocks."""
        return Moment(self._environment.clock.now(), self._environment.clock.monotonic())

    def nonce(self) -> int:
        """Draw a positive number that is never drawn again."""
        return 1 + (int.from_bytes(self._environment.entropy.random_bytes(8), "big") >> 4)
