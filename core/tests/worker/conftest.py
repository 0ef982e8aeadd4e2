"""A `memory:` hub with any number of clients and workers, in virtual time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# pytest imports test modules by path, so that no folder is importable; the harness is, by name.
sys.path.insert(0, str(Path(__file__).parent))

from typing import TYPE_CHECKING

from _harness import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One hub; everything that a test began on it is stopped at the end."""
    world = World()
    await world.open()
    yield world
    await world.close()
