"""The pytest plugin that both kinds of mutants share: runs one test and gives the error that it failed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from perdure.memory import _hub

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["error_of"]

ERROR = pytest.StashKey[BaseException]()


def pytest_configure() -> None:
    """Keep generated examples few and the same, and remember none."""
    settings.register_profile("mutants", database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the error itself: a report holds only its text."""
    report = yield
    if call.excinfo is not None and report.failed:
        item.stash.setdefault(ERROR, call.excinfo.value)
    return report


def error_of(item: pytest.Item) -> BaseException | None:
    """Run one test, fixtures and all, and give what it failed with."""
    _hub._named.clear()  # noqa: SLF001 - a test that failed has left its `memory:NAME` open for the next of that name
    if ERROR in item.stash:
        del item.stash[ERROR]
    runtestprotocol(item, log=False, nextitem=None)
    return item.stash.get(ERROR, None)
