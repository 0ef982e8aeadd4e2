"""The worker tests' world, for clients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# pytest imports test modules by path, so that no folder is importable; the harness is, by name.
sys.path.insert(0, str(Path(__file__).parents[1] / "worker"))

from _harness import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """One hub; everything that a test began on it is stopped at the end."""
    async with World() as world:
        yield world
