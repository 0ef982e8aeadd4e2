"""Options of the tests of the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose how much is tried."""
    group = parser.getgroup("Service Bus emulator")
    group.addoption("--fuzz-inputs", type=int, default=20_000, help="inputs of each fuzz test (default: 20,000)")
    group.addoption("--fuzz-seed", default="1", help="another seed, other inputs")


def pytest_configure(config: pytest.Config) -> None:
    """Bear with the SDK: it leaves the sockets of connections that broke to the garbage collector."""
    config.addinivalue_line("filterwarnings", "ignore:unclosed (transport )?<:ResourceWarning")
