"""ObjectsHarness: how the contract gets clients of a service of objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from perdure.spi import ConditionalObjects, Etag, Found, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["HEAD", "ObjectsClauses", "ObjectsHarness", "listed", "put", "read"]

HEAD = "h/ab/order-1/head"


class ObjectsHarness(ABC):
    """One service of objects, empty, for one test. Subclass it and say how its clients are made.

    Args:
        folder: A path of this test's own where nothing is yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: list[ConditionalObjects] = []

    @abstractmethod
    def make_objects(self) -> ConditionalObjects:
        """Make one more client, not opened yet. All clients of one harness reach the same objects."""

    async def start(self) -> None:
        """Get ready: called once, before anything else."""

    async def stop(self) -> None:
        """Clean up: called once, after every client was closed."""

    async def open_objects(self) -> ConditionalObjects:
        """Open a fresh, independent client."""
        objects = self.make_objects()
        await objects.open()
        self._opened.append(objects)
        return objects

    async def aclose(self) -> None:
        """Close every client."""
        for objects in reversed(self._opened):
            await objects.aclose()
        await self.stop()


class ObjectsClauses:
    """What the clauses share: a started harness per test."""

    harness: type[ObjectsHarness]
    """Set it in the subclass."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture(name="harness")
    async def start_harness(self, tmp_path: Path) -> AsyncIterator[ObjectsHarness]:
        """Give each test an empty service."""
        harness = self.harness(tmp_path / "objects")
        await harness.start()
        try:
            yield harness
        finally:
            await harness.aclose()


async def put(
    objects: ConditionalObjects, data: bytes, name: str = HEAD, *, if_absent: bool = False, if_match: Etag | None = None
) -> Etag:
    """Put an object under a condition that must hold."""
    etag = await objects.put(name, data, if_absent=if_absent, if_match=if_match)
    assert not isinstance(etag, PreconditionFailed), f"{name}: the condition holds, and was said not to"
    return etag


async def read(objects: ConditionalObjects, name: str = HEAD) -> Found:
    """Read an object that must be there."""
    found = await objects.get(name)
    assert isinstance(found, Found), f"{name}: an object was expected, not {found!r}"
    return found


async def listed(objects: ConditionalObjects, prefix: str = "", after: str = "") -> list[str]:
    """List names, in the order in which they come."""
    return [name async for name in objects.list(prefix, after)]
