"""`redis:` keeps every promise of the interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.spi import Location
from perdure_conformance import CommitterContract, Harness, HistoryStoreContract, WorkQueueContract
from perdure_conformance.scenarios import HubContract
from redis.asyncio import Redis

from perdure_redis import RedisQueue, RedisStore

if TYPE_CHECKING:
    from perdure.spi import HistoryStore, Key, WorkQueue


class RedisHarness(Harness):
    """A hub of its own for each test, all on one server."""

    moment = 0.2  # The shortest lease that the suite tries, in seconds.
    port = 6379

    def make_store(self) -> HistoryStore:
        return RedisStore(self.location, self.environment)

    def make_queue(self) -> WorkQueue:
        return RedisQueue(self.location, self.environment)

    @property
    def location(self) -> Location:
        path, hub = f"127.0.0.1:{self.port}/0", str(self.folder)
        return Location(url=f"redis://{path}?hub={hub}", scheme="redis", path=path, options={"hub": hub})

    async def corrupt_record(self, key: Key, version: int) -> bool:
        """Take one entry out of the stream."""
        async with Redis(port=self.port) as redis:
            return bool(await redis.xdel(f"{{{self.folder}}}:history:{key}", f"{version}-0"))


class TestStore(HistoryStoreContract):
    """H1 to H10."""

    harness = RedisHarness


class TestQueue(WorkQueueContract):
    """Q1 to Q11."""

    harness = RedisHarness


class TestCommitter(CommitterContract):
    """C1 to C6, of the committer that core makes of any two halves."""

    harness = RedisHarness


class TestHub(HubContract):
    """What orchestrations do."""

    harness = RedisHarness
