"""An emulator with a queue, and the SDK in one of its two forms that uses it.

All tests of this folder run in one event loop, so that links of one test can be closed while the next ones run.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

# pytest imports test modules by path, so that no folder is importable; these modules are, by name.
sys.path.insert(0, str(Path(__file__).parent))

from _place import Place
from _service_bus_sdk import AsyncSdk, Sdk, SyncSdk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

SDKS = {"sync": SyncSdk, "aio": AsyncSdk}


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Put the tests of this folder into one loop."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def closings() -> AsyncIterator[list[Awaitable[None]]]:
    """Places that are being closed; those that are not yet closed when all tests are done are waited for."""
    begun: list[Awaitable[None]] = []
    yield begun
    await asyncio.gather(*begun)


@pytest.fixture(params=list(SDKS))
def sdk(request: pytest.FixtureRequest) -> type[Sdk]:
    """The form of the SDK: each test runs with both."""
    return SDKS[request.param]


@pytest_asyncio.fixture(loop_scope="session")
async def open_place(sdk: type[Sdk], closings: list[Awaitable[None]]) -> AsyncIterator[Callable[..., Awaitable[Place]]]:
    """Open places: `await open_place(lock_seconds=5)`; what they are given are settings of the queue."""
    opened: list[Place] = []

    async def open_one(**settings: Any) -> Place:
        place = Place(sdk, settings)
        await place.begin()
        opened.append(place)
        return place

    yield open_one
    closings.extend(asyncio.ensure_future(place.close()) for place in opened)


@pytest_asyncio.fixture(loop_scope="session")
async def place(open_place: Callable[..., Awaitable[Place]]) -> Place:
    """An ordinary queue with a sender and a receiver."""
    opened = await open_place()
    await opened.open_links()
    return opened
