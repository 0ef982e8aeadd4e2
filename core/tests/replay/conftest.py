"""Puts this folder on the path: its support modules are also run as scripts, by other Pythons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _executions_are_closed() -> Iterator[None]:
    """Whoever makes an execution closes it: here, for all tests."""
    from replay_support import opened

    yield
    for execution in opened:
        execution.close()
    opened.clear()
