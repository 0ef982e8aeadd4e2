"""Errands that the test's own process starts, sends to, and waits for."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from perdure_conformance.torture._load import errand, expected_of, go
from perdure_conformance.torture._process import HANG_SECONDS

if TYPE_CHECKING:
    from perdure_conformance.torture._place import Place

OPEN_AT_ONCE = 8
"""Enough that every worker has something in work whenever it is killed."""


class Errands:
    """What was begun, and what was sent to it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._numbers = itertools.count(1)
        self.started: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.is_enough = False

    async def begin(self) -> str:
        """Start one, and send it what it will wait for; gives its id."""
        number = next(self._numbers)
        run = await self._place.client.start(errand(number), id=f"errand-{number}")
        self.started.append(run.id)
        await run.send(go, number, event_id=f"go-{number}")
        self.sent.append((run.id, f"go-{number}"))
        return run.id

    async def compare(self, instance_id: str) -> None:
        """Wait for one to end, well."""
        run = await self._place.client.get(instance_id)
        number = int(instance_id.rpartition("-")[2])
        assert await run.result(timeout_seconds=HANG_SECONDS) == expected_of(number, number)

    async def keep_busy(self) -> None:
        """Begin new ones as others end, until it is enough and all have ended."""
        async with asyncio.TaskGroup() as group:
            for _ in range(OPEN_AT_ONCE):
                group.create_task(self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        while not self.is_enough:
            await self.compare(await self.begin())
