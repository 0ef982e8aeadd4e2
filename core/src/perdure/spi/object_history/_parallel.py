"""Reading many objects, some at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from perdure.spi.objects import Absent, ConditionalObjects, Found, Unchanged

__all__ = ["READS_AT_ONCE", "read_each"]

READS_AT_ONCE = 16


async def read_each(
    objects: ConditionalObjects, names: Sequence[str]
) -> AsyncIterator[tuple[str, Found | Absent | Unchanged]]:
    """Read objects, 16 at once, and yield each with its name, in the order of the names."""
    for start in range(0, len(names), READS_AT_ONCE):
        batch = names[start : start + READS_AT_ONCE]
        for name, found in zip(batch, await asyncio.gather(*map(objects.get, batch)), strict=True):
            yield name, found
