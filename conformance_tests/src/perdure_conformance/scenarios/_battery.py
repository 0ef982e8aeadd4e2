"""Small orchestrations that each show one idiom, with what they must return."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from perdure import activity, orchestration

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from perdure import Orchestration

    Code = Callable[[], Coroutine[Any, Any, Any]]

__all__ = ["NEVER", "Battery", "slowly"]

NEVER = 3_600.0
"""Seconds that no idiom waits for to the end."""


class Battery(dict[str, tuple["Orchestration[[], Any]", object]]):
    """Orchestrations by their names, each with what it must return."""

    def gives(self, expected: object) -> Callable[[Code], Orchestration[[], Any]]:
        """Make a function an orchestration of the battery that must return this."""

        def add(code: Code) -> Orchestration[[], Any]:
            made = orchestration(code)
            self[made.name] = (made, expected)
            return made

        return add


@activity
async def slowly(value: int) -> int:
    for _ in range(value):
        await asyncio.sleep(0)
    return value
