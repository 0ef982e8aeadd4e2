"""What the scenarios share: an open scene each, judged at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from perdure_conformance.harness import Contract, Harness
from perdure_conformance.scenarios._scene import Scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

__all__ = ["Scenarios"]


class Scenarios(Contract):
    """A group of scenarios."""

    level = 5

    @pytest_asyncio.fixture(name="scene")
    async def open_scene(self, harness: Harness, request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
        """Give each scenario an empty hub, and judge what it has made of it."""
        del request  # Contracts that tell the scenarios again want to know which one it is.
        async with Scene(harness) as scene:
            yield scene
