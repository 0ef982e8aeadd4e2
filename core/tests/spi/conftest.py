"""A `memory:` hub of each test's own, on virtual time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from perdure.spi import Environment, Location
from perdure.testing import ManualClock, SeededEntropy

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def environment(clock: ManualClock) -> Environment:
    return Environment(clock=clock, entropy=SeededEntropy(1))


@pytest.fixture
def location(request: pytest.FixtureRequest) -> Location:
    name = request.node.nodeid
    return Location(url=f"memory:{name}", scheme="memory", path=name, options={})
