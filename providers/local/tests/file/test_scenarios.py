"""Orchestrations do on `file:` what they do everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from perdure_conformance import Harness
from perdure_conformance.scenarios import HubContract

from perdure.spi import Location
from perdure_local import FileQueue, FileStore

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, WorkQueue


class FileHarness(Harness):
    """A folder of its own, in real time: the files are real, too."""

    moment = 0.1

    @property
    def location(self) -> Location:
        return Location(url=f"file:{self.folder}", scheme="file", path=str(self.folder), options={})

    def make_store(self) -> HistoryStore:
        return FileStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return FileQueue(self.location, self.environment)


@pytest.mark.slow
class TestHub(HubContract):
    harness = FileHarness
