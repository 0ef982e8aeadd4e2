"""Inputs for fuzz tests: a seeded stream of broken bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# pytest imports test modules by path, so that no folder is importable; these modules are, by name.
sys.path.insert(0, str(Path(__file__).parent))

from _broken_bytes import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture
def inputs(request: pytest.FixtureRequest) -> Callable[[Sequence[bytes]], Iterator[bytes]]:
    """Make broken bytes of whole ones: as many as `--fuzz-inputs` says, others for each test and each `--fuzz-seed`."""
    count = request.config.getoption("--fuzz-inputs", 20_000)
    seed = f"{request.config.getoption('--fuzz-seed', '1')} {request.node.name}"
    return lambda whole: broken(whole, count, seed)
