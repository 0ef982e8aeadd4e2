"""Errands that the test's own process starts, sends to, and waits for."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from perdure_torture.load import errand, expected_of, go
from perdure_torture.torture import HANG_SECONDS

if TYPE_CHECKING:
    from perdure_torture.torture import Place

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

    def all_ids(self) -> list[str]:
        """Give the ids of all errands and of the sub-orchestrations that each has or will have."""
        return [one for errand_id in self.started for one in (errand_id, f"{errand_id}:6")]

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
