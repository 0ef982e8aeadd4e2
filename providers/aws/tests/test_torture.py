"""SIGKILL of real worker processes on S3 + SQS, and on hubs where one half is local."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _aws_harnesses import AwsHarness, location_of
from perdure_conformance.harness import Addresses
from perdure_conformance.torture import KillContract

from perdure.spi import Location
from perdure_aws import S3Store
from perdure_local import FileStore, SqliteQueue

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, WorkQueue

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("endpoint")]


class KilledAwsHarness(AwsHarness):
    """S3 and SQS as worker processes reach them."""

    # A lease of twice the shortest one: one emulator answers every process, and slow answers are not what is tried.
    moment = 2.0

    @property
    def store_location(self) -> Location:
        return location_of(self.endpoint, self.prefix)

    @property
    def queue_location(self) -> Location:
        return location_of(self.endpoint, self.prefix, scheme="sqs")

    def make_store(self) -> HistoryStore:
        return S3Store(self.store_location, self.environment)  # with the index of those that the workers connect to

    def addresses(self) -> Addresses:
        return Addresses(self.store_location.url, self.queue_location.url)

    def _local(self, scheme: str) -> Location:
        return Location(url=f"{scheme}:{self.folder}", scheme=scheme, path=str(self.folder), options={})


class S3AndSqliteHarness(KilledAwsHarness):
    """Histories in S3, messages in a database of this machine."""

    @property
    def queue_location(self) -> Location:
        return self._local("sqlite")

    def make_queue(self) -> WorkQueue:
        return SqliteQueue(self.queue_location, self.environment)


class FileAndSqsHarness(KilledAwsHarness):
    """Histories in files of this machine, messages in SQS."""

    @property
    def store_location(self) -> Location:
        return self._local("file")

    def make_store(self) -> HistoryStore:
        return FileStore(self.store_location, self.environment)


class TestS3AndSqs(KillContract):
    harness = KilledAwsHarness
    kills = 10


class TestS3AndSqlite(KillContract):
    harness = S3AndSqliteHarness
    kills = 10


class TestFileAndSqs(KillContract):
    harness = FileAndSqsHarness
    kills = 10
