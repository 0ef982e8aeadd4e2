"""A hub on AWS as the contracts are told of it: a prefix of its own in the one bucket of the emulator."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, ClassVar

from perdure_conformance import Harness

from perdure.spi import Found, Location, encode_part
from perdure_aws import S3Objects, S3Store, SqsQueue
from perdure_aws._settings import read_place, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perdure.spi import HistoryStore, Key, StoredPayload, WorkQueue

__all__ = ["BUCKET", "REGION", "AwsHarness", "location_of"]

BUCKET = "perdure-tests"
REGION = "eu-central-1"


def location_of(endpoint: str, prefix: str, *, scheme: str = "s3", bucket: str = BUCKET, **more: str) -> Location:
    """Name a hub at an endpoint."""
    options = {"region": REGION, "endpoint": endpoint, **more}
    url = f"{scheme}://{bucket}/{prefix}?" + "&".join(f"{name}={value}" for name, value in options.items())
    return Location(url=url, scheme=scheme, path=f"{bucket}/{prefix}", options=options)


class AwsHarness(Harness):
    """S3 and SQS as an emulator plays them, in real time."""

    endpoint: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prefix = f"test-{secrets.token_hex(8)}"

    def make_store(self) -> HistoryStore:
        return S3Store(location_of(self.endpoint, self.prefix), self.environment, index_seconds=0.1)

    def make_queue(self) -> WorkQueue:
        return SqsQueue(location_of(self.endpoint, self.prefix, scheme="sqs"), self.environment)

    async def corrupt_record(self, key: Key, version: int) -> bool:
        del version
        await self._damage("h/", f"/{encode_part(key)}/head", lambda data: data.replace(b"turn", b"trun"))
        return True

    async def corrupt_payload(self, payload: StoredPayload) -> bool:
        del payload
        await self._damage("p/", "", lambda data: data[:-10])
        return True

    async def _damage(self, prefix: str, suffix: str, change: Callable[[bytes], bytes]) -> None:
        location = location_of(self.endpoint, self.prefix)
        objects = S3Objects(read_place(location), read_settings(location), self.environment)
        await objects.open()
        try:
            (name,) = [name async for name in objects.list(prefix) if name.endswith(suffix)]
            found = await objects.get(name)
            assert isinstance(found, Found)
            await objects.put(name, change(found.data))
        finally:
            await objects.aclose()
