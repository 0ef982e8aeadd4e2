"""`file:` answers random calls as the model does, and concurrent ones as one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import Harness
from perdure_conformance.linearizability import LinearizabilityContract
from perdure_conformance.model import ModelContract

from perdure.spi import Location
from perdure_local import FileQueue, FileStore

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, WorkQueue


class FileHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.05

    @property
    def location(self) -> Location:
        return Location(url=f"file:{self.folder}", scheme="file", path=str(self.folder), options={})

    def make_store(self) -> HistoryStore:
        return FileStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return FileQueue(self.location, self.environment)


@pytest.mark.slow
class TestLinearizability(LinearizabilityContract):
    harness = FileHarness
    history_count = 100


@pytest.mark.slow
class TestModel(ModelContract):
    harness = FileHarness
    example_count = 4
